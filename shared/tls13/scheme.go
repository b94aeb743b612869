package tls13

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"io"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// Scheme is a signature scheme.
//
// Source: RFC 8446 4.2.3
type Scheme uint16

// The signature schemes that are offered and accepted.
const (
	Ed25519 Scheme = 0x0807
	Ed448   Scheme = 0x0808
)

// schemes are those offered, in the order that apps have.
//
// Spec: smp.md 3.1
var schemes = []Scheme{Ed448, Ed25519}

// The contexts of signatures, by who signs.
//
// Source: RFC 8446 4.4.3
const (
	clientContext = "TLS 1.3, client CertificateVerify"
	serverContext = "TLS 1.3, server CertificateVerify"
)

// Certificate is a chain and the key of its leaf.
type Certificate struct {
	// Chain is in DER, leaf first.
	Chain [][]byte
	// Key signs for the leaf: its public key is an [ed25519.PublicKey] or an [ed448.PublicKey]. It must stand use by several
	// goroutines, as keys in memory do.
	Key crypto.Signer
}

// scheme returns the scheme of the key, 0 if there is none for it.
func (c *Certificate) scheme() Scheme {
	if c == nil || c.Key == nil || len(c.Chain) == 0 {
		return 0
	}
	switch c.Key.Public().(type) {
	case ed25519.PublicKey:
		return Ed25519
	case ed448.PublicKey:
		return Ed448
	default:
		return 0
	}
}

// sign signs the hash of the messages up to the certificate.
func (c *Certificate) sign(rand io.Reader, context string, transcript []byte) ([]byte, error) {
	return c.Key.Sign(rand, signed(context, transcript), crypto.Hash(0))
}

// signed is what is signed in a CertificateVerify message.
//
// Source: RFC 8446 4.4.3
func signed(context string, transcript []byte) []byte {
	const spaces = 64
	b := make([]byte, spaces, spaces+len(context)+1+maxHash)
	for i := range b {
		b[i] = ' '
	}
	return append(append(append(b, context...), 0), transcript...)
}

// verify checks a signature over the hash of the messages up to the certificate, by the leaf's key.
func verify(leaf key.Public, scheme Scheme, context string, transcript, signature []byte) error {
	message := signed(context, transcript)
	var valid bool
	switch {
	case scheme == Ed25519 && leaf.Algorithm() == key.Ed25519:
		valid = ed25519.Verify(leaf.Raw(), message, signature)
	case scheme == Ed448 && leaf.Algorithm() == key.Ed448:
		valid = len(signature) == ed448.SignatureSize && ed448.Verify(leaf.Raw(), message, signature, "")
	default:
		return ErrScheme
	}
	if !valid {
		return ErrSignature
	}
	return nil
}

// leafKey returns the key of the first certificate of a chain.
func leafKey(chain [][]byte) (key.Public, error) {
	cert, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return key.Public{}, ErrCertificate // its text may quote the certificate
	}
	k, err := key.Parse(cert.RawSubjectPublicKeyInfo)
	if err != nil || k.Algorithm() != key.Ed25519 && k.Algorithm() != key.Ed448 {
		return key.Public{}, ErrCertificate
	}
	return k, nil
}
