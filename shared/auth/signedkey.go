package auth

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"

	"github.com/cloudflare/circl/sign/ed448"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"sotto/shared/key"
)

// ErrSignedKey reports a signed key that is malformed or not signed by the expected key.
var ErrSignedKey = errors.New("auth: signed key is not valid")

// DER of the two AlgorithmIdentifiers of signatures, which have no parameters.
var (
	algorithmEd25519 = []byte("\x30\x05\x06\x03\x2b\x65\x70")
	algorithmEd448   = []byte("\x30\x05\x06\x03\x2b\x65\x71")
)

// SignKey returns k signed by the key of a leaf certificate, which must be Ed25519 or Ed448, as the handshake sends a
// session key. It panics as [Sign] does.
//
// Spec: smp.md 2.7
func SignKey(leaf crypto.Signer, k key.Public) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(k.AppendDER(nil)) })
	object := b.BytesOrPanic()

	algorithm := algorithmEd25519
	if _, ok := leaf.(ed448.PrivateKey); ok {
		algorithm = algorithmEd448
	}
	signature := Sign(leaf, object)

	b = cryptobyte.Builder{}
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(object)
		b.AddBytes(algorithm)
		b.AddASN1BitString(signature)
	})
	return b.BytesOrPanic()
}

// VerifySignedKey returns the key in signed if leaf, the Ed25519 or Ed448 key of a leaf certificate, signed it. The key may
// be of any algorithm; the caller knows which it expects. The error is [ErrSignedKey].
//
// Spec: smp.md 2.7
func VerifySignedKey(leaf key.Public, signed []byte) (key.Public, error) {
	input := cryptobyte.String(signed)
	var outer, object, content, algorithm cryptobyte.String
	var signature []byte
	if !input.ReadASN1(&outer, asn1.SEQUENCE) || !input.Empty() ||
		!outer.ReadASN1Element(&object, asn1.SEQUENCE) ||
		!outer.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!outer.ReadASN1BitStringAsBytes(&signature) || !outer.Empty() {
		return key.Public{}, ErrSignedKey
	}
	if !verifySignature(leaf, algorithm, object, signature) {
		return key.Public{}, ErrSignedKey
	}
	if !object.ReadASN1(&content, asn1.SEQUENCE) {
		return key.Public{}, ErrSignedKey
	}
	k, err := key.Parse(content)
	if err != nil {
		return key.Public{}, ErrSignedKey
	}
	return k, nil
}

// verifySignature verifies a signature that says by which algorithm it was made.
func verifySignature(k key.Public, algorithm, message, signature []byte) bool {
	switch k.Algorithm() {
	case key.Ed25519:
		return bytes.Equal(algorithm, algorithmEd25519) && len(signature) == Ed25519Size &&
			ed25519.Verify(k.Raw(), message, signature)
	case key.Ed448:
		return bytes.Equal(algorithm, algorithmEd448) && len(signature) == Ed448Size &&
			ed448.Verify(k.Raw(), message, signature, "")
	}
	return false
}
