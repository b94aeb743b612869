package identitytest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/auth"
	"sotto/shared/key"
)

// Template is what a certificate says. One whose issuer is its subject may issue others.
type Template struct {
	Subject, Issuer string
	From, Until     time.Time
	Usage           x509.KeyUsage // 0: there is no key usage in it; otherwise DigitalSignature or KeyAgreement
}

// Service returns the chain that a service of this algorithm shows, of 1 or more certificates, leaf first, with the
// leaf's private key, an [ed25519.PrivateKey] or an [ed448.PrivateKey]. change, if it is not nil, makes another leaf of
// the usual one.
//
// Spec: smp.md 3.7
func Service(t testing.TB, a key.Algorithm, length int, change func(*Template)) (chain [][]byte, leaf crypto.Signer) {
	t.Helper()
	names := []string{"service", "service CA", "network", "operator", "another"}[:length]
	now := time.Now()
	issuer := names[length-1]
	var signer crypto.Signer
	for i := length - 1; i >= 0; i-- {
		template := Template{names[i], issuer, now.Add(-time.Hour), now.AddDate(1, 0, 0), 0}
		if i == 0 && change != nil {
			change(&template)
		}
		public, private := NewKey(t, a)
		if signer == nil {
			signer = private
		}
		chain = append([][]byte{issue(t, template, public, signer)}, chain...)
		issuer, signer = names[i], private
	}
	return chain, signer
}

// NewKey makes a key for signing.
func NewKey(t testing.TB, a key.Algorithm) (key.Public, crypto.Signer) {
	t.Helper()
	if a == key.Ed448 {
		public, private := generate(t)
		return publicKey(t, a, public), private
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicKey(t, a, public), private
}

func publicKey(t testing.TB, a key.Algorithm, raw []byte) key.Public {
	t.Helper()
	public, err := key.New(a, raw)
	if err != nil {
		t.Fatal(err)
	}
	return public
}

// The signature algorithms in DER.
var (
	algorithmEd25519 = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}
	algorithmEd448   = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71}
)

// The extensions of certificates.
var (
	extensionUsage       = asn1.ObjectIdentifier{2, 5, 29, 15}
	extensionConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
)

// issue makes a version 3 certificate by hand, which crypto/x509 cannot for Ed448.
func issue(t testing.TB, template Template, public key.Public, signer crypto.Signer) []byte {
	t.Helper()
	type validity struct{ NotBefore, NotAfter time.Time }
	type extension struct {
		ID       asn1.ObjectIdentifier
		Critical bool `asn1:"optional"`
		Value    []byte
	}
	type body struct {
		Version    int `asn1:"explicit,tag:0"`
		Serial     *big.Int
		Algorithm  asn1.RawValue
		Issuer     asn1.RawValue
		Validity   validity
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Extensions []extension `asn1:"explicit,tag:3"`
	}
	algorithm := asn1.RawValue{FullBytes: algorithmEd25519}
	if _, ok := signer.(ed448.PrivateKey); ok {
		algorithm.FullBytes = algorithmEd448
	}
	constraints := []byte{0x30, 0x00}
	if template.Subject == template.Issuer || template.Subject != "service" && template.Subject != "localhost" {
		constraints = []byte{0x30, 0x03, 0x01, 0x01, 0xff}
	}
	extensions := []extension{{extensionConstraints, true, constraints}}
	switch template.Usage {
	case x509.KeyUsageDigitalSignature:
		extensions = append(extensions, extension{extensionUsage, true, []byte{0x03, 0x02, 0x07, 0x80}})
	case x509.KeyUsageKeyAgreement:
		extensions = append(extensions, extension{extensionUsage, true, []byte{0x03, 0x02, 0x03, 0x08}})
	}
	tbs := marshal(t, body{
		Version:    2,
		Serial:     big.NewInt(template.From.UnixNano()),
		Algorithm:  algorithm,
		Issuer:     asn1.RawValue{FullBytes: name(t, template.Issuer)},
		Validity:   validity{template.From.UTC().Truncate(time.Second), template.Until.UTC().Truncate(time.Second)},
		Subject:    asn1.RawValue{FullBytes: name(t, template.Subject)},
		PublicKey:  asn1.RawValue{FullBytes: public.AppendDER(nil)},
		Extensions: extensions,
	})
	signature := auth.Sign(signer, tbs)
	der := marshal(t, struct {
		Body      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if _, err := x509.ParseCertificate(der); err != nil {
		t.Fatalf("certificate: %v", err)
	}
	return der
}

// name encodes a distinguished name with a common name alone.
func name(t testing.TB, common string) []byte {
	t.Helper()
	type attribute struct {
		ID    asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	type attributes []attribute
	return marshal(t, []asn1.RawValue{{FullBytes: marshalSet(t, attributes{{asn1.ObjectIdentifier{2, 5, 4, 3}, common}})}})
}

func marshalSet(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.MarshalWithParams(value, "set")
	if err != nil {
		t.Fatalf("encode certificate: %v", err)
	}
	return der
}

func marshal(t testing.TB, value any) []byte {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatalf("encode certificate: %v", err)
	}
	return der
}
