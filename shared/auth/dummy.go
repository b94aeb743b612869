package auth

import (
	"crypto/sha512"

	"sotto/shared/key"
)

// Keys of nobody's, for verifications whose result is ignored. They are valid points, so that the work is that of a real
// key. Their private keys could be computed from the label, which is of no use: what they sign is refused all the same.
//
// Spec: smp.md 6.5
var (
	dummyEd25519 = dummy(key.Ed25519, key.Ed25519Size)
	dummyEd448   = dummy(key.Ed448, key.Ed448Size)
	dummyX25519  = dummy(key.X25519, key.X25519Size)
)

// dummy returns the public key of a private key made of a fixed label.
func dummy(a key.Algorithm, size int) key.Public {
	seed := sha512.Sum512([]byte("sotto: nobody's " + a.String()))
	k, err := NewKey(a, seed[:size])
	if err != nil {
		panic("auth: " + err.Error())
	}
	return k.Public()
}
