package description_test

import (
	"testing"

	"sotto/shared/internal/imports"
)

// TestImports holds the line that descriptions and links are texts here: of ours only what they consist of is imported, and
// of others the parser of YAML.
func TestImports(t *testing.T) {
	imports.Check(t, "go.yaml.in/yaml/v3", "sotto/shared/address", "sotto/shared/auth", "sotto/shared/box", "sotto/shared/wire")
}
