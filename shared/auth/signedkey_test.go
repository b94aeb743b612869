package auth_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/auth"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
)

type certificateVectors struct {
	Chain []struct {
		PublicKey vectors.Hex `json:"public_key_raw"`
	}
	LeafPKCS8 vectors.Hex `json:"leaf_private_pkcs8_test_only"`
	SignedKey struct {
		DER        vectors.Hex
		SessionKey string      `json:"session_key"`
		Signature  vectors.Hex // the last bytes of DER
		SignedData vectors.Hex `json:"signed_data"`
	} `json:"signed_session_key"`
}

// leafOf returns the key pair of the leaf certificate of the vectors, which is Ed448.
func leafOf(t testing.TB, v certificateVectors) (ed448.PrivateKey, key.Public) {
	t.Helper()
	leaf := ed448.NewKeyFromSeed(v.LeafPKCS8[len(v.LeafPKCS8)-ed448.SeedSize:])
	public, err := key.New(key.Ed448, v.Chain[0].PublicKey)
	if err != nil || !bytes.Equal(leaf.Public().(ed448.PublicKey), public.Raw()) {
		t.Fatalf("the leaf's key does not match: %v", err)
	}
	return leaf, public
}

func TestSignedKeyVectors(t *testing.T) {
	var v certificateVectors
	vectors.Load(t, "smp/certificates.json", &v)
	leaf, public := leafOf(t, v)
	session := named(t, vectors.Keys(t), v.SignedKey.SessionKey).Public()
	got := auth.SignKey(leaf, session)
	if !bytes.Equal(got, v.SignedKey.DER) || len(got) != 173 || !bytes.HasSuffix(got, v.SignedKey.Signature) {
		t.Errorf("signed key %x", got)
	}
	if k, err := auth.VerifySignedKey(public, v.SignedKey.DER); err != nil || k != session {
		t.Errorf("verify: %v", err)
	}
	if !auth.Verify(public, nil, nil, v.SignedKey.Signature, v.SignedKey.SignedData) {
		t.Error("the signature is not over the given data")
	}
	checkDamaged(t, public, v.SignedKey.DER)
	t.Logf("checked %d cases", 1)
}

// checkDamaged checks that a signed key cut short, followed by something, or with any byte changed is refused.
func checkDamaged(t *testing.T, leaf key.Public, signed []byte) {
	t.Helper()
	refused := func(what string, n int, b []byte) {
		t.Helper()
		if k, err := auth.VerifySignedKey(leaf, b); !errors.Is(err, auth.ErrSignedKey) || !k.IsZero() {
			t.Errorf("%s %d: %v", what, n, err)
		}
	}
	for n := range signed {
		refused("cut to", n, signed[:n])
		changed := bytes.Clone(signed)
		changed[n] ^= 1
		refused("changed at", n, changed)
	}
	refused("longer by", 1, append(bytes.Clone(signed), 0))
}

// TestWorkedSignedKey signs the session key of the specification.
//
// Spec: smp.md 15.2
func TestWorkedSignedKey(t *testing.T) {
	leaf := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	session := seeded(t, key.X25519, 3).Public()
	signed := auth.SignKey(leaf, session)
	if got := hex.EncodeToString(signed); got != "3078302c302a300506032b656e0321005dfedd3b6bd47f6fa28ee15d969d5bb0ea53774d488bdaf9df1c6e0124b3ef22"+
		"300506032b65700341002ef8ebedfff134cb7720f8aa7182073c47d1de0a3e4c54ae37d37848f869f25c18aed337dd12"+
		"16f0a2cd056692259504fa92e713d2b752847d3454c76249d006" {
		t.Errorf("signed key %s", got)
	}
	public := seeded(t, key.Ed25519, 2).Public()
	if k, err := auth.VerifySignedKey(public, signed); err != nil || k != session {
		t.Errorf("verify: %v", err)
	}
	checkDamaged(t, public, signed)
}

// TestSignedKeyKinds signs every kind of key with every kind of leaf.
func TestSignedKeyKinds(t *testing.T) {
	ed := seeded(t, key.Ed25519, 9).Public()
	four := seeded(t, key.Ed448, 9).Public()
	x448, _ := key.New(key.X448, make([]byte, key.X448Size))
	leaves := []struct {
		signer crypto.Signer
		public key.Public
	}{
		{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)), ed},
		{ed448.NewKeyFromSeed(bytes.Repeat([]byte{9}, 57)), four},
	}
	for i, leaf := range leaves {
		for _, k := range []key.Public{ed, four, seeded(t, key.X25519, 9).Public(), x448} {
			signed := auth.SignKey(leaf.signer, k)
			if got, err := auth.VerifySignedKey(leaf.public, signed); err != nil || got != k {
				t.Errorf("%v by %v: %v", k.Algorithm(), leaf.public.Algorithm(), err)
			}
			for _, wrong := range []key.Public{{}, x448, leaves[1-i].public, seeded(t, leaf.public.Algorithm(), 8).Public()} {
				if _, err := auth.VerifySignedKey(wrong, signed); !errors.Is(err, auth.ErrSignedKey) {
					t.Errorf("%v by %v verifies with another key", k.Algorithm(), leaf.public.Algorithm())
				}
			}
		}
	}
}

// TestSignedKeyUnwrapped refuses the object without the SEQUENCE around the key, though it is well signed.
//
// Spec: smp.md 2.7
func TestSignedKeyUnwrapped(t *testing.T) {
	leaf := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	spki := seeded(t, key.X25519, 3).Public().AppendDER(nil)
	body := append(bytes.Clone(spki), "\x30\x05\x06\x03\x2b\x65\x70\x03\x41\x00"...)
	body = append(body, ed25519.Sign(leaf, spki)...)
	signed := append([]byte{0x30, byte(len(body))}, body...)
	if _, err := auth.VerifySignedKey(seeded(t, key.Ed25519, 2).Public(), signed); !errors.Is(err, auth.ErrSignedKey) {
		t.Errorf("unwrapped: %v", err)
	}
}

func TestSignPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("did not panic")
		}
	}()
	auth.Sign(nil, nil)
}

func FuzzVerifySignedKey(f *testing.F) {
	var v certificateVectors
	vectors.Load(f, "smp/certificates.json", &v)
	_, four := leafOf(f, v)
	ed := seeded(f, key.Ed25519, 2).Public()
	f.Add([]byte(v.SignedKey.DER))
	f.Add(auth.SignKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)), ed))
	f.Fuzz(func(t *testing.T, signed []byte) {
		for _, leaf := range []key.Public{ed, four} {
			if k, err := auth.VerifySignedKey(leaf, signed); (err == nil) == k.IsZero() {
				t.Fatalf("%v", err)
			}
		}
	})
}
