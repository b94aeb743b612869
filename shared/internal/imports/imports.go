// Package imports checks what a package imports, for tests that hold the line between packages.
package imports

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// doesIO are packages of the standard library that codecs have no use for.
var doesIO = map[string]bool{
	"bufio": true, "context": true, "io/fs": true, "log": true, "log/slog": true, "net": true, "net/http": true,
	"os": true, "os/exec": true, "syscall": true, "unsafe": true,
}

// Check fails the test if the package in the current directory imports, outside its tests, anything but the standard
// library without its I/O, and the packages that are allowed.
func Check(t *testing.T, allowed ...string) {
	t.Helper()
	known := make(map[string]bool)
	for _, path := range allowed {
		known[path] = true
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := 0
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		files++
		for _, path := range of(t, name) {
			first, _, _ := strings.Cut(path, "/")
			standard := first != "sotto" && !strings.Contains(first, ".")
			if !known[path] && !standard || doesIO[path] {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	if files == 0 {
		t.Error("there is nothing to check here")
	}
}

// of returns what a file imports.
func of(t *testing.T, file string) (paths []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}
