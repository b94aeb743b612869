// Package settingstest helps the tests of a program's settings.
package settingstest

import (
	"errors"
	"os"
	"strings"
	"testing"

	"sotto/shared/settings"
)

// SetOnly makes the given settings the only ones with this prefix, for the time of the test.
func SetOnly(t *testing.T, prefix string, values map[string]string) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, prefix+"_") {
			t.Setenv(name, "") // restored at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range values {
		t.Setenv(name, value)
	}
}

// CheckMistake checks that err is a mistake in the settings whose sentence names this setting.
func CheckMistake(t *testing.T, err error, name string) {
	t.Helper()
	var mistake settings.Error
	if !errors.As(err, &mistake) {
		t.Fatalf("got %v, want a mistake in the settings", err)
	}
	if !strings.Contains(err.Error(), name) {
		t.Errorf("%q does not name %s", err, name)
	}
}

// CheckExample checks that the file, which is what operators read, has a line for each setting of the struct that config
// points to, with its default, and none that no setting reads.
func CheckExample(t *testing.T, file, prefix string, config any) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range settings.Fields(config) {
		line := "#" + prefix + "_" + field.Tag.Get("envconfig") + "=" + field.Tag.Get("default")
		if !strings.Contains("\n"+string(content), "\n"+line+"\n") {
			t.Errorf("%s has no line %q", file, line)
		}
	}
	known := make(map[string]bool)
	for _, name := range settings.Names(prefix, config) {
		known[name] = true
	}
	for line := range strings.Lines(string(content)) {
		name, _, ok := strings.Cut(strings.TrimPrefix(line, "#"), "=")
		if ok && strings.HasPrefix(name, prefix+"_") && !strings.Contains(name, " ") && !known[name] {
			t.Errorf("%s has %s, which no setting reads", file, name)
		}
	}
}
