package transport

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/installed"
	"sotto/shared/key"
	"sotto/shared/tls13"
)

// TestOpenSSLMessages has openssl connect like an app and in other ways, and compares the session ids. The relay asks
// for a certificate; openssl has none.
func TestOpenSSLMessages(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	checked := 0
	for authority, id := range map[string]*identity.Identity{"Ed25519": newIdentity(t), "Ed448": newUnderEd448(t)} {
		files, relay := writePEM(t, id), NewMessageTLS(id, true)
		for _, c := range opensslCases {
			t.Run(authority+" authority, "+c.name, func(t *testing.T) {
				session, output := openSSLClient(t, relay.Handshake,
					append([]string{"-CAfile", files.ca, "-verify_return_error"}, c.args...)...)
				if want := printedFinished(t, output, ">>>"); !bytes.Equal(session.ID, want) || len(want) != c.size {
					t.Errorf("session id %x, openssl sent %x", session.ID, want)
				}
				state := session.TLS()
				if state.CipherSuite != c.suite || state.HelloRetryRequest != c.retry || session.ClientChain != nil {
					t.Errorf("suite %s, retry %v, %d certificates",
						tls.CipherSuiteName(state.CipherSuite), state.HelloRetryRequest, len(session.ClientChain))
				}
				if !bytes.Contains(output, []byte("Verify return code: 0 (ok)")) || bytes.Contains(output, []byte("NewSessionTicket")) {
					t.Error("openssl did not verify the chain, or got a ticket")
				}
				if _, own := session.Conn.(*tls13.Conn); own != (c.size != 12) || own != bytes.Contains(output, []byte("CertificateRequest")) {
					t.Errorf("by package tls13: %v", own)
				}
				checked++
			})
		}
	}
	t.Logf("checked %d cases", checked)
}

// TestOpenSSLServices has openssl show certificates of both algorithms, as an app's library would in everything else.
//
// Spec: smp.md 3.7
func TestOpenSSLServices(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	id := newIdentity(t)
	files, relay := writePEM(t, id), NewMessageTLS(id, true)
	late := func(c *identitytest.Template) { c.Until = time.Now().Add(-time.Minute) }
	for _, tc := range []struct {
		name   string
		length int
		change func(*identitytest.Template)
		want   string // "": the handshake goes well
	}{
		{"one", 1, nil, ""},
		{"two", 2, nil, ""},
		{"four", 4, nil, ""},
		{"five", 5, nil, "handshake message or handshake too long"},
		{"expired", 1, late, identity.ErrDates.Error()},
		{"another usage", 2, func(c *identitytest.Template) { c.Usage = x509.KeyUsageKeyAgreement }, identity.ErrUsage.Error()},
	} {
		for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
			t.Run(fmt.Sprintf("%s, %v", tc.name, a), func(t *testing.T) {
				chain, args := writeService(t, a, tc.length, tc.change)
				args = append(args, "-CAfile", files.ca, "-verify_return_error")
				s, output, err := tryOpenSSLClient(t, relay.Handshake, append(args, opensslCases[0].args...)...)
				if tc.want != "" {
					if Safe(s.err) != tc.want || !bytes.Contains(output, []byte("SSL alert number")) {
						t.Errorf("%v, want %s\n%s", s.err, tc.want, output)
					}
					return
				}
				if s.err != nil {
					t.Fatalf("relay: %v, openssl: %v\n%s", s.err, err, output)
				}
				if !slices.EqualFunc(s.session.ClientChain, chain, bytes.Equal) {
					t.Errorf("%d certificates", len(s.session.ClientChain))
				}
				if want := printedFinished(t, output, ">>>"); !bytes.Equal(s.session.ID, want) {
					t.Errorf("session id %x, openssl sent %x", s.session.ID, want)
				}
			})
		}
	}
}

// writeService makes a service's certificates and returns the arguments that make openssl show them.
func writeService(t *testing.T, a key.Algorithm, length int, change func(*identitytest.Template)) (chain [][]byte, args []string) {
	t.Helper()
	chain, leaf := identitytest.Service(t, a, length, change)
	dir := t.TempDir()
	write := func(name string, blocks ...*pem.Block) string {
		var b bytes.Buffer
		for _, block := range blocks {
			b.Write(pem.EncodeToMemory(block))
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var blocks []*pem.Block
	for _, der := range chain {
		blocks = append(blocks, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	seed := leaf.(interface{ Seed() []byte }).Seed()
	private, err := auth.NewKey(a, seed)
	if err != nil {
		t.Fatal(err)
	}
	args = []string{
		"-cert", write("leaf.pem", blocks[0]), "-key", write("key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: private.AppendPKCS8(nil)}),
	}
	if length > 1 {
		args = append(args, "-cert_chain", write("rest.pem", blocks[1:]...))
	}
	return chain, args
}
