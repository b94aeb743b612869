package file_test

import (
	"testing"

	"sotto/shared/internal/imports"
)

// TestImports holds the line that files are streams here: of ours the cipher and the codecs are imported, and nothing of
// others.
func TestImports(t *testing.T) {
	imports.Check(t, "sotto/shared/box", "sotto/shared/wire", "sotto/shared/xftp")
}
