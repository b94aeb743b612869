package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLoadAccepts are directories a relay starts with.
func TestLoadAccepts(t *testing.T) {
	for _, c := range []struct {
		name   string
		length int
		change func(t *testing.T, dir string)
	}{
		{"as created", 2, func(*testing.T, string) {}},
		{"without the authority's key and the fingerprint", 2, func(t *testing.T, dir string) {
			remove(t, dir, FileAuthorityKey)
			remove(t, dir, FileFingerprint)
		}},
		{"whole chain", 2, func(t *testing.T, dir string) {
			write(t, dir, FileCertificate, append(read(t, dir, FileCertificate), read(t, dir, FileAuthority)...))
		}},
		{"text around the PEM blocks", 2, func(t *testing.T, dir string) {
			write(t, dir, FileKey, append([]byte("the key of relay.example\n"), read(t, dir, FileKey)...))
			write(t, dir, FileCertificate, append([]byte("Certificate:\n"), read(t, dir, FileCertificate)...))
		}},
		{"Ed448 authority", 2, func(t *testing.T, dir string) {
			writeOlder(t, dir)
			if _, err := Renew(dir, "relay.example", time.Now()); err != nil {
				t.Fatal(err)
			}
		}},
		{"chain with an operator", 3, func(t *testing.T, dir string) {
			operator := makeCert(t, nil, "operator", nil)
			id := makeCert(t, operator, "relay", nil)
			leaf := makeCert(t, id, "host", online)
			writeMade(t, dir, FileAuthority, id)
			writeMade(t, dir, FileCertificate, leaf, id, operator)
			writeKey(t, dir, FileKey, leaf.key)
			remove(t, dir, FileFingerprint)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := createIn(t)
			c.change(t, dir)
			id, err := load(inDir(dir), vectorTime)
			if err != nil {
				t.Fatal(err)
			}
			if len(id.Chain) != c.length {
				t.Errorf("chain of %d", len(id.Chain))
			}
			if _, err := VerifyChain(id.Chain, id.Fingerprint(), vectorTime); err != nil {
				t.Error(err)
			}
			if cert := id.TLSCertificate(); cert.Leaf == nil || len(cert.Certificate) != c.length {
				t.Error("incomplete TLS certificate")
			}
		})
	}
}

// TestLoadRefuses checks that each error names the file at fault and says what to do.
func TestLoadRefuses(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	reissue := func(t *testing.T, dir string, change func(*x509.Certificate)) {
		id := makeCert(t, nil, "relay", nil)
		leaf := makeCert(t, id, "host", both(online, change))
		writeMade(t, dir, FileAuthority, id)
		writeMade(t, dir, FileCertificate, leaf)
		writeKey(t, dir, FileKey, leaf.key)
	}
	for _, c := range []struct {
		name   string
		file   string
		advice string
		spoil  func(t *testing.T, dir string)
	}{
		{"no authority", FileAuthority, "restore it", func(t *testing.T, dir string) { remove(t, dir, FileAuthority) }},
		{"no certificate", FileCertificate, "restore it", func(t *testing.T, dir string) { remove(t, dir, FileCertificate) }},
		{"no key", FileKey, "restore it", func(t *testing.T, dir string) { remove(t, dir, FileKey) }},
		{"empty authority", FileAuthority, "put the certificate", func(t *testing.T, dir string) { write(t, dir, FileAuthority, nil) }},
		{"empty certificate", FileCertificate, "put the relay's", func(t *testing.T, dir string) { write(t, dir, FileCertificate, nil) }},
		{"empty key", FileKey, "put the Ed25519 key", func(t *testing.T, dir string) { write(t, dir, FileKey, nil) }},
		{"garbage in a PEM block", FileCertificate, "put the relay's", func(t *testing.T, dir string) {
			write(t, dir, FileCertificate, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: []byte("no")}))
		}},
		{"key in a PEM block of garbage", FileKey, "put the Ed25519 key", func(t *testing.T, dir string) {
			write(t, dir, FileKey, pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: []byte("no")}))
		}},
		{"key of another kind", FileKey, "put the Ed25519 key", func(t *testing.T, dir string) { writeKey(t, dir, FileKey, ec) }},
		{"key of the authority", FileKey, "created together", func(t *testing.T, dir string) {
			write(t, dir, FileKey, read(t, dir, FileAuthorityKey))
		}},
		{"Ed448 key", FileKey, "created together", func(t *testing.T, dir string) {
			older := t.TempDir()
			writeOlder(t, older)
			write(t, dir, FileKey, read(t, older, FileKey))
		}},
		{"Ed448 certificate", FileCertificate, "Ed25519 one with the authority's key", writeOlder},
		{"certificate of another authority", FileCertificate, "belong together", func(t *testing.T, dir string) {
			write(t, dir, FileAuthority, read(t, createIn(t), FileAuthority))
		}},
		{"another chain", FileCertificate, "leave only the first", func(t *testing.T, dir string) {
			write(t, dir, FileCertificate, append(read(t, dir, FileCertificate), read(t, createIn(t), FileAuthority)...))
		}},
		{"files swapped", FileCertificate, "belong together", func(t *testing.T, dir string) {
			leaf := read(t, dir, FileCertificate)
			write(t, dir, FileCertificate, read(t, dir, FileAuthority))
			write(t, dir, FileAuthority, leaf)
		}},
		{"expired", FileCertificate, "issue a new certificate", func(t *testing.T, dir string) { reissue(t, dir, expired) }},
		{"not yet valid", FileCertificate, "issue a new certificate", func(t *testing.T, dir string) { reissue(t, dir, early) }},
		{"wrong use", FileCertificate, "issue a new certificate", func(t *testing.T, dir string) {
			reissue(t, dir, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })
		}},
		{"ECDSA certificate", FileCertificate, "neither Ed25519 nor Ed448", func(t *testing.T, dir string) {
			id := makeCert(t, nil, "relay", nil)
			template := &x509.Certificate{SerialNumber: id.cert.SerialNumber, NotAfter: vectorTime}
			der, err := x509.CreateCertificate(rand.Reader, template, id.cert, ec.Public(), id.key)
			if err != nil {
				t.Fatal(err)
			}
			writeMade(t, dir, FileCertificate, &made{der: der})
		}},
		{"a directory", FileCertificate, "is a directory", func(t *testing.T, dir string) {
			remove(t, dir, FileCertificate)
			if err := os.Mkdir(filepath.Join(dir, FileCertificate), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := createIn(t)
			c.spoil(t, dir)
			_, err := load(inDir(dir), vectorTime)
			if err == nil {
				t.Fatal("loaded")
			}
			if text := err.Error(); !strings.Contains(text, filepath.Join(dir, c.file)) || !strings.Contains(text, c.advice) {
				t.Errorf("%q does not say %q of %s", text, c.advice, c.file)
			}
		})
	}
}

// createIn creates an identity in a new directory.
func createIn(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := Create(dir, "relay.example", time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeMade(t *testing.T, dir, name string, certs ...*made) {
	t.Helper()
	var content []byte
	for _, c := range certs {
		content = append(content, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: c.der})...)
	}
	write(t, dir, name, content)
}

func writeKey(t *testing.T, dir, name string, private any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name, pem.EncodeToMemory(&pem.Block{Type: pemPrivateKey, Bytes: der}))
}
