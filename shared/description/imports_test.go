package description_test

import (
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestImports holds the line that descriptions and links are texts here: nothing of the standard library that does I/O is
// imported, of ours what they consist of, and of others the parser of YAML.
func TestImports(t *testing.T) {
	allowed := map[string]bool{
		"go.yaml.in/yaml/v3":   true,
		"sotto/shared/address": true,
		"sotto/shared/auth":    true,
		"sotto/shared/box":     true,
		"sotto/shared/wire":    true,
	}
	forbidden := map[string]bool{
		"bufio": true, "context": true, "io/fs": true, "log": true, "log/slog": true, "net": true, "net/http": true,
		"os": true, "os/exec": true, "syscall": true, "unsafe": true,
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
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(path, "/")
			standard := first != "sotto" && !strings.Contains(first, ".")
			if !allowed[path] && !standard || forbidden[path] {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	t.Logf("checked %d files", files)
}
