package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"sotto/shared/identity"
)

// webLeaf is a self-signed certificate of an ordinary kind.
func webLeaf(t *testing.T) *tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"relay.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
}

// fileOutcome is what a handshake came to at both ends.
type fileOutcome struct {
	relay, client *Session
	web           bool
	state         tls.ConnectionState
}

// fileHandshake shakes hands with a client of this configuration, which does not look at certificates.
func fileHandshake(t *testing.T, profile *FileTLS, client *tls.Config) (o fileOutcome, err error) {
	t.Helper()
	theirs, own := net.Pipe()
	t.Cleanup(func() { theirs.Close(); own.Close() })
	done := make(chan error, 1)
	go func() {
		var err error
		o.relay, o.web, err = profile.Handshake(context.Background(), own)
		done <- err
	}()
	client.InsecureSkipVerify = true
	o.client, err = clientHandshake(t.Context(), theirs, client)
	if relayErr := <-done; err == nil {
		err = relayErr
	}
	if err == nil {
		o.state = o.client.TLS()
	}
	return o, err
}

func TestFileTLS(t *testing.T) {
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var cert atomic.Pointer[tls.Certificate]
	alpn := []string{"xftp/1", "h2", "http/1.1"}
	profile := NewFileTLS(id, alpn, func(*tls.ClientHelloInfo) *tls.Certificate { return cert.Load() })
	leaf := webLeaf(t)
	for _, test := range []struct {
		name   string
		cert   *tls.Certificate
		client *tls.Config
		web    bool
		alpn   string
	}{
		{"native", leaf, &tls.Config{NextProtos: []string{"xftp/1"}}, false, "xftp/1"},
		{"native in web port mode", leaf, &tls.Config{NextProtos: []string{"http/1.1"}}, false, "http/1.1"},
		{"very old", leaf, &tls.Config{}, false, ""},
		{"browser", leaf, &tls.Config{ServerName: "any.example", NextProtos: []string{"h2", "http/1.1"}}, true, "h2"},
		{"browser with another group", leaf, &tls.Config{
			ServerName: "any.example", CurvePreferences: []tls.CurveID{tls.CurveP384}, NextProtos: []string{"h2"},
		}, true, "h2"},
		{"browser before there is a certificate", nil, &tls.Config{ServerName: "any.example", NextProtos: []string{"h2"}}, false, "h2"},
		{"TLS 1.2 browser", leaf, &tls.Config{
			ServerName: "any.example", MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384},
		}, true, "h2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert.Store(test.cert)
			o, err := fileHandshake(t, profile, test.client)
			if err != nil {
				t.Fatal(err)
			}
			want := id.Chain
			if test.web {
				want = leaf.Certificate
			}
			if o.web != test.web || len(o.client.Chain) != len(want) || !bytes.Equal(o.client.Chain[0], want[0]) {
				t.Errorf("web %v, %d certificates", o.web, len(o.client.Chain))
			}
			if o.relay.ALPN != test.alpn || !bytes.Equal(o.relay.ID, o.client.ID) || len(o.relay.ID) == 0 {
				t.Errorf("ALPN %q, session ids of %d and %d bytes", o.relay.ALPN, len(o.relay.ID), len(o.client.ID))
			}
		})
	}
	t.Run("suites that HTTP/2 prohibits", func(t *testing.T) {
		cert.Store(leaf)
		_, err := fileHandshake(t, profile, &tls.Config{
			ServerName: "any.example", MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"},
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
		})
		if err == nil {
			t.Error("accepted")
		}
	})
	t.Run("no resumption", func(t *testing.T) {
		cert.Store(leaf)
		cache := tls.NewLRUClientSessionCache(1)
		for range 2 {
			o, err := fileHandshake(t, profile, &tls.Config{ServerName: "any.example", NextProtos: []string{"h2"}, ClientSessionCache: cache})
			if err != nil || o.state.DidResume {
				t.Errorf("resumed %v, %v", o.state.DidResume, err)
			}
		}
	})
	t.Run("no web certificate at all", func(t *testing.T) {
		o, err := fileHandshake(t, NewFileTLS(id, alpn, nil), &tls.Config{ServerName: "any.example", NextProtos: []string{"h2"}})
		if err != nil || o.web || len(o.client.Chain) != 2 {
			t.Errorf("web %v, %v", o.web, err)
		}
	})
}
