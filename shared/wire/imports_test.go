package wire_test

import (
	"testing"

	"sotto/shared/internal/imports"
)

// TestImports holds the package to the standard library, without any package that does I/O.
func TestImports(t *testing.T) {
	imports.Check(t)
}
