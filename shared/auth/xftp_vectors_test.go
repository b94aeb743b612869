package auth_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
)

type signingVector struct {
	Seed, Private            vectors.Hex
	Private64                vectors.Hex
	Public, OtherPublic      vectors.Hex
	PublicSPKI, PrivatePKCS8 vectors.Hex
	PublicText               string `json:"publicSPKI_base64url"`
	PrivateText              string `json:"privatePKCS8_base64url"`
	KeyHash                  vectors.Hex
	Message                  vectors.Hex
	Signature                vectors.Hex
	TamperedSignature        vectors.Hex
	Valid                    bool
	ValidTampered            bool
	ValidOtherKey            bool
}

// TestXFTPKeyVectors takes every key of the file transfer protocol's vectors apart and makes it again, signs, verifies and
// agrees.
//
// Spec: xftp.md 1.1
// Spec: xftp.md 1.2
func TestXFTPKeyVectors(t *testing.T) {
	var v struct {
		Ed25519, Ed448 []signingVector
		X25519         []struct{ Private, Public, PublicSPKI, PrivatePKCS8 vectors.Hex }
		DH             []struct{ PrivateA, PublicA, PrivateB, PublicB, DHSecret vectors.Hex }
		Errors         []struct {
			Decoder, Why string
			Hex          vectors.Hex
		} `json:"decode_errors"`
	}
	vectors.Load(t, "xftp/keys.json", &v)
	for _, c := range v.Ed25519 {
		k := newKey(t, key.Ed25519, c.Seed)
		checkSigning(t, k, c)
		checkPKCS8(t, k, c.PrivatePKCS8)
		if !bytes.Equal(c.Private64, append(bytes.Clone(c.Seed), c.Public...)) {
			t.Error("the long private key is not seed and public key")
		}
		if hash := sha256.Sum256(k.Public().AppendDER(nil)); !bytes.Equal(hash[:], c.KeyHash) {
			t.Errorf("hash %x", hash)
		}
		if got := base64.URLEncoding.EncodeToString(k.Public().AppendDER(nil)); got != c.PublicText {
			t.Errorf("public key %s", got)
		}
		if got := base64.URLEncoding.EncodeToString(k.AppendPKCS8(nil)); got != c.PrivateText {
			t.Error("the text of the private key differs")
		}
	}
	for _, c := range v.Ed448 {
		k := newKey(t, key.Ed448, c.Private)
		checkSigning(t, k, c)
		checkPKCS8(t, k, k.AppendPKCS8(nil))
	}
	for _, c := range v.X25519 {
		k := newKey(t, key.X25519, c.Private)
		checkPublic(t, k, c.Public, c.PublicSPKI)
		checkPKCS8(t, k, c.PrivatePKCS8)
	}
	for i, c := range v.DH {
		a, b := newKey(t, key.X25519, c.PrivateA), newKey(t, key.X25519, c.PrivateB)
		for _, pair := range [][2]auth.Key{{a, b}, {b, a}} {
			secret, err := box.DH(pair[0].Public(), pair[1].ECDH())
			if err != nil || !bytes.Equal(secret[:], c.DHSecret) {
				t.Errorf("agreement %d: %v", i, err)
			}
		}
		if !bytes.Equal(a.Public().Raw(), c.PublicA) || !bytes.Equal(b.Public().Raw(), c.PublicB) {
			t.Errorf("agreement %d: public keys differ", i)
		}
	}
	for _, c := range v.Errors {
		algorithm, kind, _ := strings.Cut(c.Decoder, " ")
		var got key.Algorithm
		if strings.HasPrefix(kind, "private") {
			k, err := auth.ParsePKCS8(c.Hex)
			got = k.Public().Algorithm()
			if (err == nil) == (got == 0) {
				t.Errorf("%s: %v", c.Why, err)
			}
		} else if k, err := key.Parse(c.Hex); err == nil {
			got = k.Algorithm()
		}
		// The vectors' decoders are for one algorithm; these say which they found.
		if got.String() == algorithm {
			t.Errorf("%s: taken as %s", c.Why, c.Decoder)
		}
	}
	t.Logf("checked %d cases", len(v.Ed25519)+len(v.Ed448)+len(v.X25519)+len(v.DH)+len(v.Errors))
}

func checkPublic(t *testing.T, k auth.Key, raw, spki []byte) {
	t.Helper()
	if !bytes.Equal(k.Public().Raw(), raw) || !bytes.Equal(k.Public().AppendDER(nil), spki) {
		t.Errorf("public key %x", k.Public().Raw())
	}
	if got, err := key.Parse(spki); err != nil || got != k.Public() {
		t.Errorf("parsed: %v", err)
	}
	for n := range spki {
		if _, err := key.Parse(spki[:n]); err == nil {
			t.Errorf("the first %d bytes of a public key are parsed", n)
		}
	}
}

func checkSigning(t *testing.T, k auth.Key, c signingVector) {
	t.Helper()
	checkPublic(t, k, c.Public, c.PublicSPKI)
	if got := authorize(t, k, key.Public{}, nil, c.Message); !bytes.Equal(got, c.Signature) {
		t.Errorf("signature %x", got)
	}
	if got := auth.Verify(k.Public(), nil, nil, c.Signature, c.Message); got != c.Valid {
		t.Errorf("verifies: %v", got)
	}
	if got := auth.Verify(k.Public(), nil, nil, c.TamperedSignature, c.Message); got != c.ValidTampered {
		t.Errorf("tampered, verifies: %v", got)
	}
	if c.OtherPublic == nil {
		return
	}
	other, err := key.New(k.Public().Algorithm(), c.OtherPublic)
	if err != nil {
		t.Fatal(err)
	}
	if got := auth.Verify(other, nil, nil, c.Signature, c.Message); got != c.ValidOtherKey {
		t.Errorf("another key, verifies: %v", got)
	}
}

func checkPKCS8(t *testing.T, k auth.Key, der []byte) {
	t.Helper()
	if !bytes.Equal(k.AppendPKCS8(nil), der) {
		t.Error("the PKCS#8 form differs")
	}
	if got, err := auth.ParsePKCS8(der); err != nil || got.Public() != k.Public() || !bytes.Equal(got.AppendPKCS8(nil), der) {
		t.Errorf("parsed: %v", err)
	}
	for n := range der {
		if _, err := auth.ParsePKCS8(der[:n]); !errors.Is(err, key.ErrSyntax) {
			t.Errorf("the first %d bytes of a private key: %v", n, err)
		}
	}
	if _, err := auth.ParsePKCS8(append(bytes.Clone(der), 0)); !errors.Is(err, key.ErrSyntax) {
		t.Errorf("with a byte behind it: %v", err)
	}
}

func TestNoKeyPKCS8(t *testing.T) {
	if got := (auth.Key{}).AppendPKCS8(nil); len(got) != 0 {
		t.Errorf("no key has %d bytes", len(got))
	}
}

// TestXFTPAuthenticatorVectors makes and verifies the authenticators of commands without a correlation id or with one.
//
// Spec: xftp.md 7.2
func TestXFTPAuthenticatorVectors(t *testing.T) {
	var v struct {
		Authenticators []struct {
			ClientPrivate, ClientPublic, ServerPrivate, ServerPublic vectors.Hex
			DHSecret, Nonce, Message, MessageSHA512                  vectors.Hex
			Authenticator, Tampered                                  vectors.Hex
			Valid, ValidTampered                                     bool
		}
	}
	vectors.Load(t, "xftp/transport_chunks.json", &v)
	for i, c := range v.Authenticators {
		client, relay := newKey(t, key.X25519, c.ClientPrivate), newKey(t, key.X25519, c.ServerPrivate)
		if hash := sha512.Sum512(c.Message); !bytes.Equal(hash[:], c.MessageSHA512) {
			t.Errorf("%d: hash %x", i, hash)
		}
		got := authorize(t, client, relay.Public(), c.Nonce, c.Message)
		if !bytes.Equal(got, c.Authenticator) {
			t.Errorf("%d: authenticator %x", i, got)
		}
		if got := auth.Verify(client.Public(), relay.ECDH(), c.Nonce, c.Authenticator, c.Message); got != c.Valid {
			t.Errorf("%d: verifies: %v", i, got)
		}
		if got := auth.Verify(client.Public(), relay.ECDH(), c.Nonce, c.Tampered, c.Message); got != c.ValidTampered {
			t.Errorf("%d: tampered, verifies: %v", i, got)
		}
	}
	t.Logf("checked %d cases", len(v.Authenticators))
}

func FuzzParsePKCS8(f *testing.F) {
	for _, k := range []auth.Key{seeded(f, key.Ed25519, 1), seeded(f, key.Ed448, 2), seeded(f, key.X25519, 3)} {
		f.Add(k.AppendPKCS8(nil))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		k, err := auth.ParsePKCS8(der)
		if err != nil {
			return
		}
		if got := k.AppendPKCS8(nil); !bytes.Equal(got, der) {
			t.Fatal("a private key does not come back")
		}
	})
}
