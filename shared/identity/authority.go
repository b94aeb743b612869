package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
)

// The names and dates of the certificates that deployed relays have.
const (
	authorityName = "SMP server CA"
	organization  = "SimpleX"

	// validityDays ends in the 48th century, beyond what a Duration holds.
	validityDays = 999999

	// backdate lets a peer whose clock is behind accept a certificate at once.
	backdate = 24 * time.Hour

	// keyIDSize is the length of a key identifier, the first bytes of the key's SHA-256.
	keyIDSize = 20

	// serialBits keeps a serial number positive within 20 bytes.
	serialBits = 159
)

// authority issues leaf certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer // ed25519.PrivateKey or ed448.PrivateKey
}

// newAuthority makes a self-signed Ed25519 authority.
//
// Spec: smp.md 3.3
func newAuthority(now time.Time) (*authority, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate authority key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(public)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: authorityName, Organization: []string{organization}},
		NotBefore:             notBefore(now),
		NotAfter:              notAfter(now),
		SubjectKeyId:          id[:keyIDSize],
		AuthorityKeyId:        id[:keyIDSize],
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		return nil, fmt.Errorf("create authority certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("create authority certificate: %w", err)
	}
	return &authority{cert: cert, key: private}, nil
}

// issue makes a fresh Ed25519 online key and its certificate for commonName, the relay's host name or IP address.
//
// Spec: smp.md 3.3
func (a *authority) issue(commonName string, now time.Time) (*x509.Certificate, ed25519.PrivateKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate online key: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             notBefore(now),
		NotAfter:              notAfter(now),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyAgreement,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := a.sign(template, public)
	if err != nil {
		return nil, nil, fmt.Errorf("create online certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("create online certificate: %w", err)
	}
	return cert, private, nil
}

// sign encodes the certificate of template for the key public, signed by the authority.
func (a *authority) sign(template *x509.Certificate, public ed25519.PublicKey) ([]byte, error) {
	if private, ok := a.key.(ed25519.PrivateKey); ok {
		return x509.CreateCertificate(rand.Reader, template, a.cert, public, private)
	}
	private, ok := a.key.(ed448.PrivateKey)
	if !ok {
		return nil, errors.New("authority key is neither Ed25519 nor Ed448")
	}
	// crypto/x509 cannot sign with Ed448. It encodes the certificate for an Ed25519 key that is then forgotten, and
	// what is signed gets the other algorithm, whose name has the same length, and the authority's signature.
	_, forgotten, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	parent := *a.cert
	parent.PublicKey = nil // so that the forgotten key need not match
	der, err := x509.CreateCertificate(rand.Reader, template, &parent, public, forgotten)
	if err != nil {
		return nil, err
	}
	return resignEd448(der, private)
}

// resignEd448 replaces the algorithm and signature of an Ed25519-signed certificate.
func resignEd448(der []byte, private ed448.PrivateKey) ([]byte, error) {
	var outer signedCertificate
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, err
	}
	tbs := outer.TBS.FullBytes
	var version, serial, algorithm asn1.RawValue
	if err := unmarshalPrefix(outer.TBS.Bytes, &version, &serial, &algorithm); err != nil {
		return nil, err
	}
	at := len(tbs) - len(outer.TBS.Bytes) + len(version.FullBytes) + len(serial.FullBytes)
	if n := copy(tbs[at:], algorithmEd448); n != len(algorithm.FullBytes) {
		return nil, errors.New("unexpected algorithm in certificate")
	}
	signature := ed448.Sign(private, tbs, "")
	return asn1.Marshal(signedCertificate{
		TBS:       asn1.RawValue{FullBytes: tbs},
		Algorithm: asn1.RawValue{FullBytes: algorithmEd448},
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

// unmarshalPrefix reads consecutive DER values from b and ignores what follows them.
func unmarshalPrefix(b []byte, values ...*asn1.RawValue) error {
	for _, v := range values {
		rest, err := asn1.Unmarshal(b, v)
		if err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// newSerial returns a random positive serial number.
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, fmt.Errorf("generate serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}

// notBefore is a day ago, to the second.
func notBefore(now time.Time) time.Time {
	return now.Add(-backdate).UTC().Truncate(time.Second)
}

// notAfter is validityDays ahead.
func notAfter(now time.Time) time.Time {
	return now.UTC().AddDate(0, 0, validityDays).Truncate(time.Second)
}
