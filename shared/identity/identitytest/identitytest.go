// Package identitytest makes, for tests, the identities that older relays have: all Ed448. Package identity loads
// such an authority but never creates one.
package identitytest

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"
)

// DER of what older relays' certificates are made of.
var (
	algorithmEd448 = []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71}
	prefixPKCS8    = []byte{
		0x30, 0x47, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x04, 0x3b, 0x04, 0x39,
	}
)

// WriteEd448 writes what an older relay keeps in its directory: an Ed448 authority and an Ed448 leaf, with their keys
// and the fingerprint.
func WriteEd448(t testing.TB, dir string, now time.Time) {
	t.Helper()
	caPublic, caPrivate := generate(t)
	public, private := generate(t)
	ca := certificate(t, "SMP server CA", "SMP server CA", caPublic, caPrivate, now)
	leaf := certificate(t, "localhost", "SMP server CA", public, caPrivate, now)
	fingerprint := sha256.Sum256(ca)
	for name, content := range map[string][]byte{
		"ca.key":      encodeKey(caPrivate),
		"ca.crt":      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca}),
		"server.key":  encodeKey(private),
		"server.crt":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf}),
		"fingerprint": []byte(base64.URLEncoding.EncodeToString(fingerprint[:]) + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatalf("write identity: %v", err)
		}
	}
}

func generate(t testing.TB) (ed448.PublicKey, ed448.PrivateKey) {
	t.Helper()
	public, private, err := ed448.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("generate Ed448 key: %v", err)
	}
	return public, private
}

// certificate makes a version 3 certificate by hand. A certificate whose issuer is its subject may issue others.
func certificate(t testing.TB, subject, issuer string, public ed448.PublicKey, signer ed448.PrivateKey, now time.Time) []byte {
	t.Helper()
	type validity struct{ NotBefore, NotAfter time.Time }
	type publicKey struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
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
		PublicKey  publicKey
		Extensions []extension `asn1:"explicit,tag:3"`
	}
	algorithm := asn1.RawValue{FullBytes: algorithmEd448}
	constraints := []byte{0x30, 0x00}
	if subject == issuer {
		constraints = []byte{0x30, 0x03, 0x01, 0x01, 0xff}
	}
	tbs := marshal(t, body{
		Version:    2,
		Serial:     big.NewInt(now.UnixNano()),
		Algorithm:  algorithm,
		Issuer:     asn1.RawValue{FullBytes: name(t, issuer)},
		Validity:   validity{now.Add(-time.Hour).UTC().Truncate(time.Second), now.AddDate(100, 0, 0).UTC().Truncate(time.Second)},
		Subject:    asn1.RawValue{FullBytes: name(t, subject)},
		PublicKey:  publicKey{algorithm, asn1.BitString{Bytes: public, BitLength: 8 * len(public)}},
		Extensions: []extension{{asn1.ObjectIdentifier{2, 5, 29, 19}, true, constraints}},
	})
	signature := ed448.Sign(signer, tbs, "")
	der := marshal(t, struct {
		Body      asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if _, err := x509.ParseCertificate(der); err != nil {
		t.Fatalf("Ed448 certificate: %v", err)
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

func encodeKey(private ed448.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append(prefixPKCS8[:len(prefixPKCS8):len(prefixPKCS8)], private.Seed()...)})
}
