package xftptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// KeyType is the kind of a web certificate's key.
type KeyType string

// The kinds that web certificates have.
const (
	RSA     KeyType = "RSA"
	ECDSA   KeyType = "ECDSA"
	Ed25519 KeyType = "Ed25519"
)

// WebName is the host in web certificates.
const WebName = "relay.example"

// Certificate is a web certificate, issued by an authority of its own.
type Certificate struct {
	TLS   tls.Certificate
	Roots *x509.CertPool // vouch for it
}

// NewCertificate makes a web certificate for [WebName].
func NewCertificate(t testing.TB, kind KeyType) *Certificate {
	t.Helper()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := template("test authority")
	ca.IsCA, ca.KeyUsage = true, x509.KeyUsageCertSign
	ca = sign(t, ca, ca, caKey.Public(), caKey)

	k := newKey(t, kind)
	leaf := template(WebName)
	leaf.DNSNames, leaf.ExtKeyUsage = []string{WebName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf = sign(t, leaf, ca, k.Public(), caKey)
	c := &Certificate{
		TLS:   tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: k, Leaf: leaf},
		Roots: x509.NewCertPool(),
	}
	c.Roots.AddCert(ca)
	return c
}

func newKey(t testing.TB, kind KeyType) (k crypto.Signer) {
	t.Helper()
	var err error
	switch kind {
	case RSA:
		k, err = rsa.GenerateKey(rand.Reader, 2048)
	case ECDSA:
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	default:
		t.Fatalf("no keys of kind %q", kind)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64))
	if err != nil {
		panic("xftptest: " + err.Error())
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

func sign(t testing.TB, cert, parent *x509.Certificate, public crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, by)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
