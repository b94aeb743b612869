package identity

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"sotto/shared/identity/identitytest"
	"sotto/shared/internal/vectors"
	"sotto/shared/key"
)

// TestVerifyClientChain are the chains that services show.
//
// Spec: smp.md 3.7
func TestVerifyClientChain(t *testing.T) {
	operator := makeCert(t, nil, "operator", nil)
	id := makeCert(t, nil, "service", nil)
	idOfOperator := makeCert(t, operator, "service", nil)
	cert := func(issuer *made, change func(*x509.Certificate)) *made {
		return makeCert(t, issuer, "host", both(online, change))
	}
	same := func(*x509.Certificate) {}
	usage := func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }
	forged := bytes.Clone(id.der)
	forged[len(forged)-1] ^= 1
	for _, c := range []struct {
		name  string
		chain [][]byte
		want  error
	}{
		{"one", ders(id), nil},
		{"one, a leaf", ders(cert(nil, same)), nil},
		{"two", ders(cert(id, same), id), nil},
		{"three", ders(cert(idOfOperator, same), idOfOperator, operator), nil},

		{"none", nil, ErrClientChainLength},
		{"five", ders(id, id, id, id, id), ErrClientChainLength},
		{"one, not signed by itself", ders(cert(id, same)), ErrIssuer},
		{"one, signed by another of its name", ders(makeCert(t, id, "service", nil)), ErrSignature},
		{"one, forged", [][]byte{forged}, ErrSignature},
		{"one, expired", ders(cert(nil, expired)), ErrDates},
		{"one, of the future", ders(cert(nil, early)), ErrDates},
		{"one, another usage", ders(cert(nil, usage)), ErrUsage},
		{"two, expired", ders(cert(id, expired), id), ErrDates},
		{"two, another usage", ders(cert(id, usage), id), ErrUsage},
		{"two, of another issuer", ders(cert(operator, same), id), ErrIssuer},
		{"identity beside the path", ders(cert(operator, same), id, operator), ErrIssuer},
		{"not a certificate", [][]byte{{0x30, 0x00}}, ErrCertificate},
	} {
		t.Run(c.name, func(t *testing.T) {
			leaf, err := VerifyClientChain(c.chain, vectorTime)
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if leaf.IsZero() != (c.want != nil) {
				t.Error("a key with an error, or none without")
			}
		})
	}
}

// TestVerifyClientChainEd448 takes certificates that an older relay would show to another one.
func TestVerifyClientChainEd448(t *testing.T) {
	var v struct {
		Chain []struct {
			DER vectors.Hex `json:"der"`
		} `json:"chain"`
	}
	vectors.Load(t, "smp/certificates.json", &v)
	chain := [][]byte{v.Chain[0].DER, v.Chain[1].DER}
	for _, shown := range [][][]byte{chain, chain[1:]} {
		leaf, err := VerifyClientChain(shown, vectorTime)
		if err != nil || leaf.Algorithm() != key.Ed448 {
			t.Errorf("%d certificates: %v", len(shown), err)
		}
	}
}

// TestVerifyClientChainOfService takes the chains that tests of services use, of both algorithms and every length.
func TestVerifyClientChainOfService(t *testing.T) {
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		for n := 1; n <= maxChain+1; n++ {
			chain, _ := identitytest.Service(t, a, n, nil)
			leaf, err := VerifyClientChain(chain, time.Now())
			if (err != nil) != (n > maxChain) || err == nil && leaf.Algorithm() != a {
				t.Errorf("%v, %d certificates: %v", a, n, err)
			}
		}
		chain, _ := identitytest.Service(t, a, 1, func(c *identitytest.Template) { c.Usage = x509.KeyUsageKeyAgreement })
		if _, err := VerifyClientChain(chain, time.Now()); !errors.Is(err, ErrUsage) {
			t.Errorf("%v, another usage: %v", a, err)
		}
		chain, _ = identitytest.Service(t, a, 2, func(c *identitytest.Template) { c.Usage = x509.KeyUsageDigitalSignature })
		if _, err := VerifyClientChain(chain, time.Now()); err != nil {
			t.Errorf("%v, for signatures: %v", a, err)
		}
	}
}
