// Package installed finds the programs of others that tests run.
package installed

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program, of which one of the names is installed. Without it the test fails in CI, where
// nothing may be left out, and is skipped elsewhere, naming the package to install.
func Program(t testing.TB, pkg string, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("The program %s is missing: install the package %s.", names[0], pkg)
	}
	t.Skipf("The program %s is missing: install the package %s to run this test.", names[0], pkg)
	return ""
}
