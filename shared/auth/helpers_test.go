package auth_test

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

// The worked examples use these ids and this relay session key.
const (
	exampleSession = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	exampleCorr    = "404142434445464748494a4b4c4d4e4f5051525354555657"
	exampleQueue   = "808182838485868788898a8b8c8d8e8f9091929394959697"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// seeded returns the key whose secret is the same byte repeated.
func seeded(t testing.TB, a key.Algorithm, b byte) auth.Key {
	t.Helper()
	size := key.Ed25519Size
	if a == key.Ed448 {
		size = key.Ed448Size
	}
	return newKey(t, a, bytes.Repeat([]byte{b}, size))
}

func newKey(t testing.TB, a key.Algorithm, secret []byte) auth.Key {
	t.Helper()
	k, err := auth.NewKey(a, secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// named returns a private key of the vectors, after checking that its public key is as given there.
func named(t testing.TB, keys map[string]vectors.Key, name string) auth.Key {
	t.Helper()
	v, ok := keys[name]
	if !ok {
		t.Fatalf("no key %q", name)
	}
	public, err := key.Parse(v.SPKI)
	if err != nil {
		t.Fatal(err)
	}
	k := newKey(t, public.Algorithm(), v.PrivateRaw)
	if k.Public() != public {
		t.Errorf("%s: public key is not %v", name, v.PublicRaw)
	}
	return k
}

func ecdhKey(t testing.TB, raw []byte) *ecdh.PrivateKey {
	t.Helper()
	priv, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return priv
}

func authorize(t testing.TB, k auth.Key, relay key.Public, corrID, message []byte) []byte {
	t.Helper()
	a, err := k.Authorize(relay, corrID, message)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// block pads the payload of one transmission.
func block(t *testing.T, transmission []byte) []byte {
	t.Helper()
	var p wire.Packer
	p.Add(transmission)
	b := make([]byte, wire.BlockSize)
	if err := wire.Pad(b, p.Payload()); err != nil {
		t.Fatal(err)
	}
	return b
}
