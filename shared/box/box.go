// Package box is the one authenticated encryption of the protocols: XSalsa20 and Poly1305 with the tag in front, under a
// key that is first put through HSalsa20, whether it comes from a key agreement or from a key chain. It seals message
// bodies, proxied commands, and every block of an encrypted connection.
//
// Spec: smp.md 2.2
package box

import (
	"crypto/ecdh"
	"errors"

	"golang.org/x/crypto/nacl/secretbox"
	//lint:ignore SA1019 HSalsa20 by itself is what the protocol is made of, and the package that replaces it hides it.
	"golang.org/x/crypto/salsa20/salsa"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// Sizes in bytes.
const (
	NonceSize = 24
	KeySize   = 32
	// Overhead is the length of the tag, by which a sealed message is longer than the plain one.
	Overhead = secretbox.Overhead
)

// Errors of this package. Neither says more, so that whoever sent the input learns nothing from it.
var (
	// ErrOpen reports a sealed message that is not authentic, or not under this key and nonce.
	ErrOpen = errors.New("box: cannot open")
	// ErrAgreement reports a public key with which no secret can be agreed.
	ErrAgreement = errors.New("box: cannot agree on a secret")
)

// Seal appends the sealed form of plain, Overhead bytes longer, to dst. plain must not overlap the part of dst's storage
// that is written.
//
// Spec: smp.md 2.2
func Seal(dst, plain []byte, nonce *[NonceSize]byte, k *[KeySize]byte) []byte {
	derived := derive(k)
	return secretbox.Seal(dst, plain, nonce, &derived)
}

// Open appends the plain form of boxed to dst; ok is false, and nothing is returned, if boxed is not authentic. boxed must
// not overlap the part of dst's storage that is written.
//
// Spec: smp.md 2.2
func Open(dst, boxed []byte, nonce *[NonceSize]byte, k *[KeySize]byte) (plain []byte, ok bool) {
	derived := derive(k)
	return secretbox.Open(dst, boxed, nonce, &derived)
}

// derive returns HSalsa20 of k, the step that makes box out of secretbox.
func derive(k *[KeySize]byte) (derived [KeySize]byte) {
	var zero [16]byte
	salsa.HSalsa20(&derived, &zero, k, &salsa.Sigma)
	return derived
}

// SealPadded appends the sealed form of plain padded to padded bytes, Overhead bytes longer than that. The error is
// [wire.ErrTooLong] if plain does not fit.
//
// Spec: smp.md 2.2
func SealPadded(dst, plain []byte, nonce *[NonceSize]byte, k *[KeySize]byte, padded int) ([]byte, error) {
	s := takeScratch()
	defer s.release()
	p := s.bytes(padded)
	if err := wire.Pad(p, plain); err != nil {
		return nil, err
	}
	return Seal(dst, p, nonce, k), nil
}

// OpenPadded opens boxed into the storage of dst, behind its content, and returns the message without its padding as a
// view of that storage. The error is [ErrOpen] or, if the padding is wrong, [wire.ErrSyntax].
//
// Spec: smp.md 2.2
func OpenPadded(dst, boxed []byte, nonce *[NonceSize]byte, k *[KeySize]byte) ([]byte, error) {
	opened, ok := Open(dst, boxed, nonce, k)
	if !ok {
		return nil, ErrOpen
	}
	return wire.Unpad(opened[len(dst):])
}

// NonceFrom makes a nonce from an id: its first 24 bytes, followed by zero bytes if it has fewer.
//
// Spec: smp.md 2.3
func NonceFrom(b []byte) (nonce [NonceSize]byte) {
	copy(nonce[:], b)
	return nonce
}

// Reverse returns the nonce with its bytes in reverse order, which seals the answer to what n sealed.
//
// Spec: smp.md 2.3
func Reverse(n [NonceSize]byte) [NonceSize]byte {
	for i, j := 0, NonceSize-1; i < j; i, j = i+1, j-1 {
		n[i], n[j] = n[j], n[i]
	}
	return n
}

// DH returns the secret shared by a public key, which must be X25519, and an X25519 private key. The error is
// [ErrAgreement], also for public keys that would make the secret independent of the private key.
//
// Spec: smp.md 2.4
func DH(pub key.Public, priv *ecdh.PrivateKey) (secret [KeySize]byte, err error) {
	p, err := pub.ECDH()
	if err != nil {
		return secret, ErrAgreement
	}
	s, err := priv.ECDH(p)
	if err != nil || len(s) != KeySize {
		return secret, ErrAgreement
	}
	return [KeySize]byte(s), nil
}
