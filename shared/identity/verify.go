package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// The lengths of a chain that clients accept, and the place of the identity certificate in all of them.
const (
	minChain      = 2
	maxChain      = 4
	identityIndex = 1
)

// Errors of [VerifyChain] and [VerifyClientChain]. They are returned wrapped with the place of the certificate in the
// chain.
var (
	ErrChainLength = errors.New("identity: chain does not have 2 to 4 certificates")
	// ErrClientChainLength is that of [VerifyClientChain].
	ErrClientChainLength = errors.New("identity: client's chain does not have 1 to 4 certificates")

	ErrUnknownCA   = errors.New("identity: fingerprint of the chain is not that of the address")
	ErrCertificate = errors.New("identity: malformed certificate")
	ErrVersion     = errors.New("identity: leaf is not an X.509 v3 certificate")
	ErrIssuer      = errors.New("identity: no path from the leaf to the trust anchor")
	ErrSignature   = errors.New("identity: wrong signature on a certificate")
	ErrDates       = errors.New("identity: certificate is expired or not yet valid")
	ErrUsage       = errors.New("identity: certificate does not permit this use")
	ErrKey         = errors.New("identity: certificate key is neither Ed25519 nor Ed448")
)

// VerifyChain checks a relay's chain, leaf first, as clients do, and returns the leaf's key. The chain is taken as
// bytes, because crypto/x509 cannot check what an Ed448 key signed.
//
// One check is stricter than that of deployed clients, which with 3 and 4 certificates would take a leaf and an
// anchor of anybody's making with a well-known identity put between them: here the path from the leaf has to pass
// through the identity certificate.
//
// Spec: smp.md 3.3
func VerifyChain(chain [][]byte, fingerprint [32]byte, now time.Time) (leaf key.Public, err error) {
	if len(chain) < minChain || len(chain) > maxChain {
		return key.Public{}, ErrChainLength
	}
	if sha256.Sum256(chain[identityIndex]) != fingerprint {
		return key.Public{}, ErrUnknownCA
	}
	return verify(chain, now)
}

// VerifyClientChain checks the chain that a client shows, leaf first, and returns the leaf's key: that of one
// certificate, which has signed itself, or of 2 to 4 like a relay's. Whose it is, the fingerprint of its identity
// certificate tells, the first or the second; here it is not compared with anything.
//
// Spec: smp.md 3.7
func VerifyClientChain(chain [][]byte, now time.Time) (leaf key.Public, err error) {
	if len(chain) < 1 || len(chain) > maxChain {
		return key.Public{}, ErrClientChainLength
	}
	return verify(chain, now)
}

// verify checks a chain of 1 to 4 certificates, of which the last is the trust anchor.
func verify(chain [][]byte, now time.Time) (leaf key.Public, err error) {
	certs := make([]*certificate, len(chain))
	for i, der := range chain {
		if certs[i], err = parseCertificate(der); err != nil {
			return key.Public{}, fmt.Errorf("certificate %d: %w", i, err)
		}
	}
	if certs[0].Version != 3 {
		return key.Public{}, ErrVersion
	}
	if certs[0].restricts(x509.KeyUsageDigitalSignature) {
		return key.Public{}, fmt.Errorf("certificate 0: %w", ErrUsage)
	}
	path := verifyPath
	if len(certs) == 1 {
		path = verifySelf
	}
	if err := path(certs, now); err != nil {
		return key.Public{}, err
	}
	return certs[0].key, nil
}

// verifySelf checks the only certificate of a chain, which is leaf and trust anchor in one.
//
// Spec: smp.md 3.7
func verifySelf(certs []*certificate, now time.Time) error {
	switch cert := certs[0]; {
	case !cert.within(now):
		return ErrDates
	case !bytes.Equal(cert.RawIssuer, cert.RawSubject):
		return ErrIssuer
	case !cert.signed(cert):
		return ErrSignature
	}
	return nil
}

// verifyPath walks from the leaf by names to the trust anchor, the last certificate. It ends, since each step visits
// a certificate not visited before.
//
// Spec: smp.md 3.3
func verifyPath(certs []*certificate, now time.Time) error {
	last := len(certs) - 1
	visited := make([]bool, len(certs))
	at := 0
	for below := 0; ; below++ {
		visited[at] = true
		cert := certs[at]
		if !cert.within(now) {
			return fmt.Errorf("certificate %d: %w", at, ErrDates)
		}
		next := issuerOf(certs, at, visited)
		if next < 0 {
			return fmt.Errorf("certificate %d: %w", at, ErrIssuer)
		}
		if next != last && !certs[next].mayIssue(below) {
			return fmt.Errorf("certificate %d: %w", next, ErrUsage)
		}
		if !certs[next].signed(cert) {
			return fmt.Errorf("certificate %d: %w", at, ErrSignature)
		}
		if next == last {
			visited[last] = true
			break
		}
		at = next
	}
	if !visited[identityIndex] {
		return ErrIssuer
	}
	return nil
}

// issuerOf finds the certificate whose subject is the issuer of certs[at], trying the trust anchor first. Names are
// compared as bytes. It returns -1 if there is none.
func issuerOf(certs []*certificate, at int, visited []bool) int {
	issuer := certs[at].RawIssuer
	for i := len(certs) - 1; i > 0; i-- {
		if !visited[i] && bytes.Equal(certs[i].RawSubject, issuer) {
			return i
		}
	}
	return -1
}

// certificate is a parsed certificate with what crypto/x509 does not give for Ed448.
type certificate struct {
	*x509.Certificate
	key       key.Public // key of the subject
	algorithm []byte     // DER of the signature's AlgorithmIdentifier
}

// The two signature algorithms as DER AlgorithmIdentifier.
var (
	algorithmEd25519 = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}
	algorithmEd448   = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71}
)

// signedCertificate is the outer structure of a certificate.
type signedCertificate struct {
	TBS       asn1.RawValue
	Algorithm asn1.RawValue
	Signature asn1.BitString
}

// parseCertificate reads a certificate whose key is Ed25519 or Ed448. The error is [ErrCertificate] or [ErrKey].
func parseCertificate(der []byte) (*certificate, error) {
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, ErrCertificate // its text may quote names of the certificate
	}
	var outer signedCertificate
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) > 0 {
		return nil, ErrCertificate
	}
	k, err := key.Parse(parsed.RawSubjectPublicKeyInfo)
	if err != nil || k.Algorithm() != key.Ed25519 && k.Algorithm() != key.Ed448 {
		return nil, ErrKey
	}
	return &certificate{Certificate: parsed, key: k, algorithm: outer.Algorithm.FullBytes}, nil
}

// within reports whether the certificate is valid at a time.
func (c *certificate) within(now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// restricts reports whether the certificate has a key usage that lacks use.
func (c *certificate) restricts(use x509.KeyUsage) bool {
	return c.KeyUsage != 0 && c.KeyUsage&use == 0
}

// mayIssue reports whether c may be an intermediate issuer with this many intermediate issuers below it.
func (c *certificate) mayIssue(below int) bool {
	if !c.BasicConstraintsValid || !c.IsCA || c.restricts(x509.KeyUsageCertSign) {
		return false
	}
	limited := c.MaxPathLen > 0 || c.MaxPathLen == 0 && c.MaxPathLenZero
	return !limited || below <= c.MaxPathLen
}

// signed reports whether c's key signed child.
func (c *certificate) signed(child *certificate) bool {
	switch c.key.Algorithm() {
	case key.Ed25519:
		return bytes.Equal(child.algorithm, algorithmEd25519) &&
			ed25519.Verify(c.key.Raw(), child.RawTBSCertificate, child.Signature)
	case key.Ed448:
		return bytes.Equal(child.algorithm, algorithmEd448) &&
			ed448.Verify(c.key.Raw(), child.RawTBSCertificate, child.Signature, "")
	default:
		return false
	}
}
