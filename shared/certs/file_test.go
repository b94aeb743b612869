package certs_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/certs"
	"sotto/shared/relay"
)

// operators are files of an operator's.
type operators struct {
	cert, key string
	serial    int64
}

func newOperators(t testing.TB) *operators {
	dir := t.TempDir()
	return &operators{cert: filepath.Join(dir, "web.crt"), key: filepath.Join(dir, "web.key")}
}

// write replaces the certificate and its key, one after the other, as programs do that renew them.
func (o *operators) write(t testing.TB, key crypto.Signer, ends time.Time, name string) {
	t.Helper()
	o.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(o.serial), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: ends,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	must(t, os.WriteFile(o.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(o.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
}

// handshake checks that the certificate can be used, and returns its number.
func handshake(t testing.TB, m *certs.Manager) int64 {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: m.Certificate})
	must(t, err)
	defer ln.Close()
	go func() {
		if conn, err := ln.Accept(); err == nil {
			_ = conn.(*tls.Conn).Handshake()
			_ = conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{ServerName: "relay.example", InsecureSkipVerify: true})
	must(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

// TestOperatorsFile changes the operator's certificate while it is in use: to keys of all kinds, and to something broken.
func TestOperatorsFile(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	files, later := newOperators(t), time.Now().Add(90*24*time.Hour)
	files.write(t, old, later, "relay.example")
	var log relay.Output
	m := newManager(t, certs.Options{
		Names: []string{"relay.example"}, ACME: true, CertFile: files.cert, KeyFile: files.key, Log: zerolog.New(&log),
	})
	m.Start(t.Context())
	if s := m.Status()[0]; s.State != certs.Own || !s.NotAfter.Equal(later.UTC().Truncate(time.Second)) || s.Reason != "" {
		t.Errorf("the status is %+v", s)
	}
	if n := handshake(t, m); n != 1 {
		t.Errorf("certificate %d is shown", n)
	}
	for _, key := range []crypto.Signer{ed, ec} {
		files.write(t, key, later, "relay.example")
		eventually(t, "the new certificate", func() bool { return handshake(t, m) == files.serial })
	}
	must(t, os.WriteFile(files.cert, []byte("broken"), 0o600))
	said(t, &log, "is of no use")
	if n := handshake(t, m); n != files.serial {
		t.Errorf("certificate %d is shown", n)
	}
	files.write(t, ec, time.Now().Add(-time.Minute), "other.example")
	eventually(t, "the new certificate", func() bool { return handshake(t, m) == files.serial })
	if s := m.Status()[0]; !strings.Contains(s.Reason, "has ended") {
		t.Errorf("the status is %+v", s)
	}
	said(t, &log, "has ended: renew it")
	files.write(t, ec, later, "other.example")
	said(t, &log, "for other names")
	if n := strings.Count(log.String(), "is of no use"); n > 4 { // each write may be seen between its halves
		t.Errorf("the broken file is told of %d times", n)
	}
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Error("the log has the key")
	}
}

func TestOperatorsFileIsTooLarge(t *testing.T) {
	files := newOperators(t)
	must(t, os.WriteFile(files.cert, make([]byte, 2<<20), 0o600))
	must(t, os.WriteFile(files.key, nil, 0o600))
	if _, err := certs.New(certs.Options{CertFile: files.cert, KeyFile: files.key}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("the error is %v", err)
	}
}
