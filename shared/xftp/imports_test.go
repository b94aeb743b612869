package xftp_test

import (
	"testing"

	"sotto/shared/internal/imports"
)

// TestImports holds the line that the codec is one: of ours it imports what its fields are made of, and nothing of others.
func TestImports(t *testing.T) {
	imports.Check(t, "sotto/shared/wire", "sotto/shared/key", "sotto/shared/address", "sotto/shared/auth", "sotto/shared/smp")
}
