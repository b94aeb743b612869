// Package identity is who a relay is: an offline certificate authority whose fingerprint stands in the relay's
// address, and an online certificate under it that TLS and the session keys are signed with. It creates, loads and
// renews these files, and checks the chain that another relay shows.
//
// The authority may be Ed25519 or, for relays that take over the address of an older one, Ed448; the online key is
// always Ed25519, since crypto/tls can sign with nothing else that clients accept.
//
// Spec: smp.md 3.3
package identity

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"time"

	"sotto/shared/auth"
	"sotto/shared/key"
)

// Identity is a relay's certificate chain with its online key. It never changes after it is made, so it may be used
// from any goroutine. It holds a private key: it prints as a placeholder.
type Identity struct {
	// Chain is what TLS and the server hello present, in DER: the online leaf, then the authority, then whatever
	// stands above it (usually nothing). It must not be changed.
	Chain [][]byte

	leaf    *x509.Certificate
	leafKey ed25519.PrivateKey
}

// Fingerprint is the SHA-256 of the authority's certificate, which stands in the relay's address.
//
// Spec: smp.md 3.3
func (i *Identity) Fingerprint() [32]byte {
	return sha256.Sum256(i.Chain[1])
}

// TLSCertificate returns the chain with its key as crypto/tls wants it.
func (i *Identity) TLSCertificate() tls.Certificate {
	return tls.Certificate{Certificate: i.Chain, PrivateKey: i.leafKey, Leaf: i.leaf}
}

// Expires returns the time from which clients refuse the online certificate.
func (i *Identity) Expires() time.Time {
	return i.leaf.NotAfter
}

// LeafKey returns the online private key, which signs the TLS handshake and session keys.
func (i *Identity) LeafKey() ed25519.PrivateKey {
	return i.leafKey
}

// SignSessionKey wraps and signs a connection's X25519 key for the server hello (122 bytes).
//
// Spec: smp.md 2.7
func (i *Identity) SignSessionKey(k key.Public) []byte {
	return auth.SignKey(i.leafKey, k)
}

// Format prints a placeholder, whatever the verb.
func (i *Identity) Format(f fmt.State, _ rune) {
	io.WriteString(f, "[identity]")
}

// MarshalText returns a placeholder.
func (i *Identity) MarshalText() ([]byte, error) {
	return []byte("[identity]"), nil
}

// newIdentity puts an Identity together from parts that have been checked against each other.
func newIdentity(chain [][]byte, leaf *x509.Certificate, leafKey ed25519.PrivateKey) *Identity {
	return &Identity{Chain: chain, leaf: leaf, leafKey: leafKey}
}
