package box

import (
	"bytes"
	"errors"
	"testing"

	"sotto/shared/internal/vectors"
	"sotto/shared/key"
	"sotto/shared/wire"
)

type secretboxVector struct {
	Key, Nonce, Message vectors.Hex
	PaddedLength        int         `json:"padded_length"`
	NoPad               vectors.Hex `json:"encrypted_no_pad"`
	Padded              vectors.Hex `json:"encrypted_padded"`
}

type cryptoVectors struct {
	Secretbox []secretboxVector
	Nonces    []struct{ Input, Nonce vectors.Hex } `json:"nonce_from_bytes"`
	Reverse   struct{ Input, Nonce vectors.Hex }   `json:"reverse_nonce"`
	X25519    []struct{ Private, Public, Shared vectors.Hex }
	HKDF      []struct {
		IKM, Salt, Output vectors.Hex
		Info              string
	} `json:"hkdf_sha512"`
}

func TestSecretboxVectors(t *testing.T) {
	var v cryptoVectors
	vectors.Load(t, "smp/crypto.json", &v)
	for i, c := range v.Secretbox {
		k, nonce := [KeySize]byte(c.Key), [NonceSize]byte(c.Nonce)
		if got := Seal([]byte("x"), c.Message, &nonce, &k); !bytes.Equal(got[1:], c.NoPad) || got[0] != 'x' {
			t.Errorf("case %d: sealed %x", i, got)
		}
		if got, ok := Open([]byte("x"), c.NoPad, &nonce, &k); !ok || !bytes.Equal(got[1:], c.Message) {
			t.Errorf("case %d: opened %x", i, got)
		}
		got, err := SealPadded([]byte("x"), c.Message, &nonce, &k, c.PaddedLength)
		if err != nil || !bytes.Equal(got[1:], c.Padded) {
			t.Errorf("case %d: sealed padded %x, %v", i, got, err)
		}
		got, err = OpenPadded([]byte("x"), c.Padded, &nonce, &k)
		if err != nil || !bytes.Equal(got, c.Message) {
			t.Errorf("case %d: opened padded %x, %v", i, got, err)
		}
		for name, sealed := range map[string]vectors.Hex{"no pad": c.NoPad, "padded": c.Padded} {
			checkForged(t, name, sealed, &nonce, &k)
		}
	}
	t.Logf("checked %d cases", len(v.Secretbox))
}

// checkForged checks that no prefix of a sealed message, and none with a byte changed or added, opens.
func checkForged(t *testing.T, name string, sealed []byte, nonce *[NonceSize]byte, k *[KeySize]byte) {
	t.Helper()
	for n := range sealed {
		if got, ok := Open(nil, sealed[:n], nonce, k); ok || got != nil {
			t.Errorf("%s: %d bytes open", name, n)
		}
		changed := bytes.Clone(sealed)
		changed[n] ^= 1
		if got, err := OpenPadded(nil, changed, nonce, k); !errors.Is(err, ErrOpen) || got != nil {
			t.Errorf("%s: opens with byte %d changed: %v", name, n, err)
		}
	}
	if _, ok := Open(nil, append(bytes.Clone(sealed), 0), nonce, k); ok {
		t.Errorf("%s: opens with a byte after it", name)
	}
	other := *nonce
	other[NonceSize-1] ^= 1
	if _, ok := Open(nil, sealed, &other, k); ok {
		t.Errorf("%s: opens with another nonce", name)
	}
}

func TestNonceVectors(t *testing.T) {
	var v cryptoVectors
	vectors.Load(t, "smp/crypto.json", &v)
	for _, c := range v.Nonces {
		if got := NonceFrom(c.Input); !bytes.Equal(got[:], c.Nonce) {
			t.Errorf("nonce of %v: %x", c.Input, got)
		}
	}
	if got := Reverse([NonceSize]byte(v.Reverse.Input)); !bytes.Equal(got[:], v.Reverse.Nonce) {
		t.Errorf("reverse: %x", got)
	}
	if got := Reverse([NonceSize]byte(v.Reverse.Nonce)); !bytes.Equal(got[:], v.Reverse.Input) {
		t.Errorf("reverse of the reverse: %x", got)
	}
	t.Logf("checked %d cases", len(v.Nonces)+1)
}

func TestDHVectors(t *testing.T) {
	var v cryptoVectors
	vectors.Load(t, "smp/crypto.json", &v)
	for i, c := range v.X25519 {
		// The public key of a case is the peer's, and the peer's private key is that of the other case.
		other := v.X25519[len(v.X25519)-1-i]
		if got := private(t, other.Private).PublicKey().Bytes(); !bytes.Equal(got, c.Public) {
			t.Errorf("case %d: public key %x", i, got)
		}
		if got := agree(t, c.Public, c.Private); !bytes.Equal(got[:], c.Shared) {
			t.Errorf("case %d: secret %x", i, got)
		}
	}
	t.Logf("checked %d cases", len(v.X25519))
}

func TestDHRejects(t *testing.T) {
	priv := private(t, seed(1))
	ed, _ := key.New(key.Ed25519, seed(2))
	zero, _ := key.New(key.X25519, make([]byte, 32))
	one, _ := key.New(key.X25519, append([]byte{1}, make([]byte, 31)...))
	for name, pub := range map[string]key.Public{"none": {}, "Ed25519": ed, "zero": zero, "order 1": one} {
		if secret, err := DH(pub, priv); !errors.Is(err, ErrAgreement) || secret != [KeySize]byte{} {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSealPaddedLimits(t *testing.T) {
	var k [KeySize]byte
	var nonce [NonceSize]byte
	for _, c := range []struct{ message, padded int }{{0, -1}, {0, 0}, {0, 1}, {5, 6}, {16106, 16106}, {70000, 80000}} {
		if got, err := SealPadded(nil, make([]byte, c.message), &nonce, &k, c.padded); !errors.Is(err, wire.ErrTooLong) || got != nil {
			t.Errorf("%d in %d: %v", c.message, c.padded, err)
		}
	}
	for _, c := range []struct{ message, padded int }{{0, 2}, {16366, 16368}, {16382, 16384}, {1000, 40000}} {
		sealed, err := SealPadded(nil, bytes.Repeat([]byte{3}, c.message), &nonce, &k, c.padded)
		if err != nil || len(sealed) != c.padded+Overhead {
			t.Fatalf("%d in %d: %d bytes, %v", c.message, c.padded, len(sealed), err)
		}
		got, err := OpenPadded(nil, sealed, &nonce, &k)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{3}, c.message)) {
			t.Errorf("%d in %d does not come back: %v", c.message, c.padded, err)
		}
	}
}

// TestOpenPaddedRejects opens messages that are authentic but not padded.
func TestOpenPaddedRejects(t *testing.T) {
	var k [KeySize]byte
	var nonce [NonceSize]byte
	for _, plain := range []string{"", "\x00", "\x00\x01", "\x00\x04abc", "\xff\xffabc"} {
		got, err := OpenPadded(nil, Seal(nil, []byte(plain), &nonce, &k), &nonce, &k)
		if !errors.Is(err, wire.ErrSyntax) || got != nil {
			t.Errorf("%q: %x, %v", plain, got, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	var v cryptoVectors
	vectors.Load(f, "smp/crypto.json", &v)
	for _, c := range v.Secretbox {
		f.Add([]byte(c.Key), []byte(c.Nonce), []byte(c.NoPad))
		f.Add([]byte(c.Key), []byte(c.Nonce), []byte(c.Padded))
		f.Add([]byte(c.Key), []byte(c.Nonce), []byte(c.Message))
	}
	f.Fuzz(func(t *testing.T, keyBytes, nonceBytes, b []byte) {
		var k [KeySize]byte
		copy(k[:], keyBytes)
		nonce := NonceFrom(nonceBytes)
		if plain, ok := Open(nil, b, &nonce, &k); ok && !bytes.Equal(Seal(nil, plain, &nonce, &k), b) {
			t.Fatalf("%x opens and is not what is sealed", b)
		}
		if _, err := OpenPadded(nil, b, &nonce, &k); err != nil && !errors.Is(err, ErrOpen) && !errors.Is(err, wire.ErrSyntax) {
			t.Fatal(err)
		}
		// As a message: it must come back, and as an authentic one it must unpad or fail cleanly.
		sealed := Seal(nil, b, &nonce, &k)
		if plain, ok := Open(nil, sealed, &nonce, &k); !ok || !bytes.Equal(plain, b) {
			t.Fatal("does not come back")
		}
		if _, err := OpenPadded(nil, sealed, &nonce, &k); err != nil && !errors.Is(err, wire.ErrSyntax) {
			t.Fatal(err)
		}
	})
}
