// Package auth answers whether a transmission is authorized by a key, and makes the authorizations and signed keys that
// are verified so. The relay asks it between looking up a queue and executing the command.
//
// Spec: smp.md 6.3
package auth

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"crypto/subtle"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/box"
	"sotto/shared/key"
)

// AuthenticatorSize is the length of an authenticator in bytes, which tells it from signatures of 64 or 114.
const AuthenticatorSize = box.Overhead + sha512.Size

// Sizes of the signatures in bytes.
const (
	Ed25519Size = ed25519.SignatureSize
	Ed448Size   = ed448.SignatureSize
)

// Verify reports whether authorization is one by k over message, the complete authorized bytes. session is the relay's
// private key of the connection, and corrID the correlation id; both serve authenticators only.
//
// The time it takes depends on the kind of authorization provided, told by its length, and on the length of message, but
// not on k: if k is of another algorithm, or is no key at all because the queue does not exist, one verification of the
// provided kind is done with a key of nobody's, and its result ignored. Only a queue whose own key is bytes that are no
// point of the curve is refused sooner. An authorization of another length, or none, is false at once.
//
// Spec: smp.md 6.3
// Spec: smp.md 6.5
func Verify(k key.Public, session *ecdh.PrivateKey, corrID, authorization, message []byte) bool {
	switch len(authorization) {
	case Ed25519Size:
		k, matches := keyOr(k, dummyEd25519)
		valid := ed25519.Verify(k.Raw(), message, authorization)
		return matches && valid
	case Ed448Size:
		k, matches := keyOr(k, dummyEd448)
		valid := ed448.Verify(k.Raw(), message, authorization, "")
		return matches && valid
	case AuthenticatorSize:
		k, matches := keyOr(k, dummyX25519)
		valid := verifyAuthenticator(k, session, corrID, authorization, message)
		return matches && valid
	}
	return false
}

// PlausibleSize reports whether an authorization of n bytes, which is not 0, is of a kind there is. A transmission with
// another is answered as a malformed one.
//
// Spec: smp.md 6.1
func PlausibleSize(n int) bool {
	return n == Ed25519Size || n == Ed448Size || n == AuthenticatorSize
}

// keyOr returns k if it is of the dummy's algorithm, and otherwise the dummy; matches tells which.
func keyOr(k, dummy key.Public) (_ key.Public, matches bool) {
	if k.Algorithm() == dummy.Algorithm() {
		return k, true
	}
	return dummy, false
}

// verifyAuthenticator does the same work for every peer, including one with which no secret can be agreed.
//
// Spec: smp.md 2.6
func verifyAuthenticator(peer key.Public, session *ecdh.PrivateKey, corrID, authenticator, message []byte) bool {
	if session == nil {
		return false
	}
	secret, err := box.DH(peer, session)
	digest := sha512.Sum512(message)
	nonce := box.NonceFrom(corrID)
	var storage [sha512.Size]byte
	opened, ok := box.Open(storage[:0], authenticator, &nonce, &secret)
	return ok && err == nil && subtle.ConstantTimeCompare(opened, digest[:]) == 1
}

// Authenticate returns the authenticator of message, 80 bytes, which only the owner of peer can verify, and could have made
// itself. Both keys are X25519. The error is [box.ErrAgreement].
//
// Spec: smp.md 2.6
func Authenticate(priv *ecdh.PrivateKey, peer key.Public, corrID, message []byte) ([]byte, error) {
	secret, err := box.DH(peer, priv)
	if err != nil {
		return nil, err
	}
	digest := sha512.Sum512(message)
	nonce := box.NonceFrom(corrID)
	return box.Seal(make([]byte, 0, AuthenticatorSize), digest[:], &nonce, &secret), nil
}

// Sign returns the signature of message by priv, which must be an [ed25519.PrivateKey] or an [ed448.PrivateKey]; it panics
// for any other, since which keys sign is decided where they are loaded or made.
//
// Spec: smp.md 6.3
func Sign(priv crypto.Signer, message []byte) []byte {
	switch priv := priv.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(priv, message)
	case ed448.PrivateKey:
		return ed448.Sign(priv, message, "")
	}
	panic("auth: a key of this type does not sign")
}
