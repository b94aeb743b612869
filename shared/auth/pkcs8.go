package auth

import (
	"bytes"
	"crypto/ed25519"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// privateEncodings has the DER before the secret, by algorithm: PKCS#8 version 0, without attributes or the public key.
var privateEncodings = [...]struct {
	algorithm key.Algorithm
	prefix    []byte
}{
	{key.Ed25519, []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20")},
	{key.Ed448, []byte("\x30\x47\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x71\x04\x3b\x04\x39")},
	{key.X25519, []byte("\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x6e\x04\x22\x04\x20")},
}

// ParsePKCS8 returns the key that der is the exact PKCS#8 encoding of, with nothing after it: 48 bytes for Ed25519 and
// X25519, 73 for Ed448. The error is [key.ErrSyntax].
//
// Spec: xftp.md 1.1
func ParsePKCS8(der []byte) (Key, error) {
	for _, e := range privateEncodings {
		if secret, ok := bytes.CutPrefix(der, e.prefix); ok {
			return NewKey(e.algorithm, secret)
		}
	}
	return Key{}, key.ErrSyntax
}

// AppendPKCS8 appends the key as [ParsePKCS8] takes it, the secret in clear. For no key it appends nothing.
//
// Spec: xftp.md 1.1
func (k Key) AppendPKCS8(dst []byte) []byte {
	for _, e := range privateEncodings {
		if e.algorithm == k.public.Algorithm() {
			return append(append(dst, e.prefix...), k.secret()...)
		}
	}
	return dst
}

// secret returns what [NewKey] makes the key from, nil for no key.
func (k Key) secret() []byte {
	switch signer := k.signer.(type) {
	case ed25519.PrivateKey:
		return signer.Seed()
	case ed448.PrivateKey:
		return signer.Seed()
	}
	if k.ecdh != nil {
		return k.ecdh.Bytes()
	}
	return nil
}
