package smp_test

import (
	"testing"

	"sotto/shared/internal/imports"
)

// TestImports holds the line that the codec is one: of ours it imports wire, key and address alone, and nothing of others.
func TestImports(t *testing.T) {
	imports.Check(t, "sotto/shared/wire", "sotto/shared/key", "sotto/shared/address")
}
