package smp

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"testing"

	"sotto/shared/internal/vectors"
)

// TestHashVectors checks the sender id, and that the hashes it and the rest of the protocol stand on are those meant.
func TestHashVectors(t *testing.T) {
	var file struct {
		Hash []struct {
			Input    vectors.Hex `json:"input"`
			SenderID vectors.Hex `json:"sender_id_from_corr_id"`
			SHA256   vectors.Hex `json:"sha256"`
			SHA3256  vectors.Hex `json:"sha3_256"`
			SHA3384  vectors.Hex `json:"sha3_384"`
			SHA512   vectors.Hex `json:"sha512"`
		} `json:"hash"`
	}
	vectors.Load(t, "smp/crypto.json", &file)
	same := func(name string, got, want []byte) {
		t.Helper()
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
	for _, c := range file.Hash {
		id := SenderIDFrom(c.Input)
		a, b, d, e := sha256.Sum256(c.Input), sha3.Sum256(c.Input), sha3.Sum384(c.Input), sha512.Sum512(c.Input)
		same("sender id", id[:], c.SenderID)
		same("SHA-256", a[:], c.SHA256)
		same("SHA3-256", b[:], c.SHA3256)
		same("SHA3-384", d[:], c.SHA3384)
		same("SHA-512", e[:], c.SHA512)
	}
	if len(file.Hash) == 0 {
		t.Fatal("no cases")
	}
	t.Logf("checked %d cases", len(file.Hash))
}
