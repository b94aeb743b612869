// Package identitytest makes, for tests, the identities that older relays have, all Ed448, which package identity loads
// but never creates, and the certificates that services show, of either algorithm.
package identitytest

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/key"
)

// prefixPKCS8 comes before an Ed448 secret in DER.
var prefixPKCS8 = []byte{
	0x30, 0x47, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71, 0x04, 0x3b, 0x04, 0x39,
}

// WriteEd448 writes what an older relay keeps in its directory: an Ed448 authority and an Ed448 leaf, with their keys
// and the fingerprint.
func WriteEd448(t testing.TB, dir string, now time.Time) {
	t.Helper()
	caPublic, caPrivate := generate(t)
	public, private := generate(t)
	from, until := now.Add(-time.Hour), now.AddDate(100, 0, 0)
	ca := issue(t, Template{"SMP server CA", "SMP server CA", from, until, 0}, publicKey(t, key.Ed448, caPublic), caPrivate)
	leaf := issue(t, Template{"localhost", "SMP server CA", from, until, 0}, publicKey(t, key.Ed448, public), caPrivate)
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

func encodeKey(private ed448.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append(prefixPKCS8[:len(prefixPKCS8):len(prefixPKCS8)], private.Seed()...)})
}
