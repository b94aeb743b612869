package box

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
)

// private returns the X25519 private key with the given bytes.
func private(t testing.TB, raw []byte) *ecdh.PrivateKey {
	t.Helper()
	priv, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return priv
}

// agree returns the secret shared by a public key and the private key with the given bytes.
func agree(t testing.TB, publicRaw, privateRaw []byte) [KeySize]byte {
	t.Helper()
	pub, err := key.New(key.X25519, publicRaw)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := DH(pub, private(t, privateRaw))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// agreeNamed checks that two keys of the vectors agree on the same secret from both sides, and returns it.
func agreeNamed(t testing.TB, keys map[string]vectors.Key, one, other string) [KeySize]byte {
	t.Helper()
	a := agree(t, keys[one].PublicRaw, keys[other].PrivateRaw)
	if b := agree(t, keys[other].PublicRaw, keys[one].PrivateRaw); a != b {
		t.Errorf("%s and %s do not agree", one, other)
	}
	return a
}

// seed returns 32 times the same byte, the private keys of the worked examples.
func seed(b byte) []byte { return bytes.Repeat([]byte{b}, KeySize) }

// run returns n bytes that count up from first, the ids of the worked examples.
func run(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

// exampleDH returns the secret of two private keys of the worked examples.
func exampleDH(t testing.TB, one, other byte) [KeySize]byte {
	t.Helper()
	return agree(t, private(t, seed(one)).PublicKey().Bytes(), seed(other))
}

// checkSum compares b with its length, first bytes and SHA-256, which may each be left out.
func checkSum(t *testing.T, name string, b []byte, length int, start, sum string) {
	t.Helper()
	if length != 0 && len(b) != length {
		t.Errorf("%s: %d bytes, want %d", name, len(b), length)
	}
	if !strings.HasPrefix(hex.EncodeToString(b), start) {
		t.Errorf("%s: starts %x, want %s", name, b[:min(len(b), len(start)/2)], start)
	}
	if got := sha256.Sum256(b); sum != "" && hex.EncodeToString(got[:]) != sum {
		t.Errorf("%s: SHA-256 %x, want %s", name, got, sum)
	}
}
