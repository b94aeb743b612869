package auth

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// Key is a client's private key for authorizing commands: Ed25519, Ed448 or X25519. The zero value is no key. It prints as
// a placeholder.
type Key struct {
	public key.Public
	signer crypto.Signer    // Ed25519 and Ed448
	ecdh   *ecdh.PrivateKey // X25519
}

// NewEd25519 returns a new random key whose authorizations are signatures of 64 bytes.
func NewEd25519() Key { return random(key.Ed25519, ed25519.SeedSize) }

// NewEd448 returns a new random key whose authorizations are signatures of 114 bytes.
func NewEd448() Key { return random(key.Ed448, ed448.SeedSize) }

// NewX25519 returns a new random key whose authorizations are authenticators of 80 bytes.
func NewX25519() Key { return random(key.X25519, key.X25519Size) }

func random(a key.Algorithm, size int) Key {
	seed := make([]byte, size)
	_, _ = rand.Read(seed) // never fails
	k, err := NewKey(a, seed)
	if err != nil {
		panic("auth: " + err.Error())
	}
	return k
}

// NewKey returns the key with the given secret: 32 bytes for Ed25519 and X25519, 57 for Ed448. The error is
// [key.ErrSyntax] for another length and [key.ErrAlgorithm] for another algorithm.
func NewKey(a key.Algorithm, secret []byte) (Key, error) {
	var k Key
	var raw []byte
	switch {
	case a != key.Ed25519 && a != key.Ed448 && a != key.X25519:
		return Key{}, key.ErrAlgorithm
	case a == key.Ed25519 && len(secret) == ed25519.SeedSize:
		priv := ed25519.NewKeyFromSeed(secret)
		k.signer, raw = priv, priv.Public().(ed25519.PublicKey)
	case a == key.Ed448 && len(secret) == ed448.SeedSize:
		priv := ed448.NewKeyFromSeed(secret)
		k.signer, raw = priv, priv.Public().(ed448.PublicKey)
	case a == key.X25519 && len(secret) == key.X25519Size:
		priv, err := ecdh.X25519().NewPrivateKey(secret)
		if err != nil {
			return Key{}, key.ErrSyntax
		}
		k.ecdh, raw = priv, priv.PublicKey().Bytes()
	default:
		return Key{}, key.ErrSyntax
	}
	var err error
	k.public, err = key.New(a, raw)
	return k, err
}

// Public returns the public key, the zero value if k is no key.
func (k Key) Public() key.Public { return k.public }

// ECDH returns the private key of an X25519 key, nil of another.
func (k Key) ECDH() *ecdh.PrivateKey { return k.ecdh }

// Authorize returns the authorization of message by k: a signature, or an authenticator for the owner of relayKey, the
// relay's session key, which signatures do not need. No key gives no authorization. The error is [box.ErrAgreement].
//
// Spec: smp.md 6.3
func (k Key) Authorize(relayKey key.Public, corrID, message []byte) ([]byte, error) {
	switch {
	case k.signer != nil:
		return Sign(k.signer, message), nil
	case k.ecdh != nil:
		return Authenticate(k.ecdh, relayKey, corrID, message)
	}
	return nil, nil
}

// Format writes "[private key]" for every verb.
func (Key) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[private key]") }

// MarshalText returns "[private key]".
func (Key) MarshalText() ([]byte, error) { return []byte("[private key]"), nil }
