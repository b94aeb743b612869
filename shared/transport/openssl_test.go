package transport

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sotto/shared/identity"
	"sotto/shared/installed"
)

// finishedLine begins a Finished message in what "openssl -msg" prints; the direction comes first.
var finishedLine = regexp.MustCompile(`^(<<<|>>>) TLS 1\.[23], Handshake \[length [0-9a-f]+\], Finished$`)

// printedFinished returns the body of the first Finished message that went in this direction.
func printedFinished(t *testing.T, output []byte, direction string) []byte {
	t.Helper()
	var found []byte
	inside := false
	for line := range strings.Lines(string(output)) {
		line = strings.TrimRight(line, "\n")
		if m := finishedLine.FindStringSubmatch(line); m != nil {
			inside = m[1] == direction
			continue
		}
		if !inside {
			continue
		}
		if !strings.HasPrefix(line, "    ") {
			break
		}
		b, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			break
		}
		found = append(found, b...)
	}
	if len(found) < messageHeader || found[0] != messageFinished || int(found[3]) != len(found)-messageHeader {
		t.Fatalf("no Finished in the output of openssl:\n%s", output)
	}
	return found[messageHeader:]
}

// opensslCase is one kind of handshake.
type opensslCase struct {
	name  string
	args  []string
	suite uint16
	size  int
	retry bool
}

var opensslCases = []opensslCase{
	{"app", []string{
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "X448:X25519", "-sigalgs", "ed448:ed25519",
		"-alpn", "smp/1", "-noservername",
	}, tls.TLS_CHACHA20_POLY1305_SHA256, 32, true},
	{"ChaCha20", []string{"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}, tls.TLS_CHACHA20_POLY1305_SHA256, 32, false},
	{"AES-128", []string{"-ciphersuites", "TLS_AES_128_GCM_SHA256"}, tls.TLS_AES_128_GCM_SHA256, 32, false},
	{"AES-256", []string{"-ciphersuites", "TLS_AES_256_GCM_SHA384"}, tls.TLS_AES_256_GCM_SHA384, 48, false},
	{"AES-256 with retry", []string{
		"-ciphersuites", "TLS_AES_256_GCM_SHA384", "-groups", "X448:X25519",
	}, tls.TLS_AES_256_GCM_SHA384, 48, true},
	{"records padded", []string{
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-record_padding", "512",
	}, tls.TLS_CHACHA20_POLY1305_SHA256, 32, false},
	{"records split", []string{
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-max_send_frag", "512", "-split_send_frag", "512",
	}, tls.TLS_CHACHA20_POLY1305_SHA256, 32, false},
	{"TLS 1.2", []string{
		"-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305",
	}, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 12, false},
}

// TestOpenSSLClient compares the relay's session id with the Finished message that openssl says it has sent.
func TestOpenSSLClient(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	service := newIdentity(t)
	serviceFiles := writePEM(t, service)
	checked := 0
	for authority, id := range map[string]*identity.Identity{"Ed25519": newIdentity(t), "Ed448": newUnderEd448(t)} {
		files := writePEM(t, id)
		for _, c := range opensslCases {
			for _, certificate := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s authority, %s, certificate=%v", authority, c.name, certificate), func(t *testing.T) {
					cfg, args := ServerConfig(id), c.args
					if certificate {
						cfg.ClientAuth = tls.RequireAnyClientCert
						args = append([]string{"-cert", serviceFiles.leaf, "-key", serviceFiles.key}, args...)
					}
					session, output := openSSLClient(t, serve(cfg), append([]string{"-CAfile", files.ca, "-verify_return_error"}, args...)...)
					if want := printedFinished(t, output, ">>>"); !bytes.Equal(session.ID, want) || len(want) != c.size {
						t.Errorf("session id %x, openssl sent %x", session.ID, want)
					}
					state := session.TLS()
					if state.CipherSuite != c.suite || state.HelloRetryRequest != c.retry || certificate != (len(state.PeerCertificates) > 0) {
						t.Errorf("suite %s, retry %v, %d certificates",
							tls.CipherSuiteName(state.CipherSuite), state.HelloRetryRequest, len(state.PeerCertificates))
					}
					if !bytes.Contains(output, []byte("Verify return code: 0 (ok)")) {
						t.Error("openssl did not verify the chain")
					}
					if bytes.Contains(output, []byte("NewSessionTicket")) {
						t.Error("a ticket was sent")
					}
					if !certificate && bytes.Contains(output, []byte("CertificateRequest")) {
						t.Error("a client certificate was requested")
					}
					checked++
				})
			}
		}
	}
	t.Logf("checked %d cases", checked)
}

// TestOpenSSLNoProtocol has openssl offer a protocol that no relay speaks.
func TestOpenSSLNoProtocol(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	l := listen(t)
	failed := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err == nil {
			_, err = ServerHandshake(t.Context(), raw, ServerConfig(newIdentity(t)))
		}
		failed <- err
	}()
	output, err := openSSL(t, "s_client", "-connect", l.Addr().String(), "-alpn", "xftp/1", "-msg").CombinedOutput()
	if err == nil || !bytes.Contains(output, []byte("SSL alert number 120")) {
		t.Errorf("%v\n%s", err, output)
	}
	if err := <-failed; Safe(err) != "tls failure" {
		t.Errorf("%v", err)
	}
}

// openSSLClient has openssl connect to a relay and returns the relay's session and what openssl printed.
func openSSLClient(
	t *testing.T, relay func(context.Context, net.Conn) (*Session, error), args ...string,
) (*Session, []byte) {
	t.Helper()
	s, output, err := tryOpenSSLClient(t, relay, args...)
	if s.err != nil {
		t.Fatalf("relay: %v, openssl: %v\n%s", s.err, err, output)
	}
	return s.session, output
}

// tryOpenSSLClient is openSSLClient for handshakes that may fail.
func tryOpenSSLClient(
	t *testing.T, relay func(context.Context, net.Conn) (*Session, error), args ...string,
) (s outcome, output []byte, err error) {
	t.Helper()
	l := listen(t)
	done := make(chan outcome, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- outcome{err: err}
			return
		}
		session, err := relay(t.Context(), raw)
		if err == nil {
			session.Conn.Close()
		}
		done <- outcome{session, err}
	}()
	args = append([]string{"s_client", "-connect", l.Addr().String(), "-msg", "-ign_eof"}, args...)
	output, err = openSSL(t, args...).CombinedOutput()
	l.Close()
	return <-done, output, err
}

// TestOpenSSLServer compares a client's session id with the Finished message that openssl says it has received. The
// authority is Ed25519: crypto/tls does not offer ed448 for the signatures of certificates, and openssl, unlike the
// relay of this package, then keeps such a chain to itself.
func TestOpenSSLServer(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	id, service := newIdentity(t), newIdentity(t).TLSCertificate()
	files := writePEM(t, id)
	checked := 0
	for _, c := range []opensslCase{
		{"relay", []string{"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-alpn", "smp/1"}, tls.TLS_CHACHA20_POLY1305_SHA256, 32, false},
		{"AES-128", []string{"-ciphersuites", "TLS_AES_128_GCM_SHA256"}, tls.TLS_AES_128_GCM_SHA256, 32, false},
		{"AES-256", []string{"-ciphersuites", "TLS_AES_256_GCM_SHA384"}, tls.TLS_AES_256_GCM_SHA384, 48, false},
		{"TLS 1.2", []string{"-tls1_2"}, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 12, false},
	} {
		for _, certificate := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s certificate=%v", c.name, certificate), func(t *testing.T) {
				args := append([]string{"-cert", files.leaf, "-key", files.key, "-cert_chain", files.ca}, c.args...)
				cfg := clientConfig([]string{ALPN})
				if certificate {
					args = append(args, "-verify", "1")
					cfg.Certificates = []tls.Certificate{service}
				}
				session, output := openSSLServer(t, cfg, args...)
				if want := printedFinished(t, output, "<<<"); !bytes.Equal(session.ID, want) || len(want) != c.size {
					t.Errorf("session id %x, openssl received %x", session.ID, want)
				}
				if suite := session.TLS().CipherSuite; suite != c.suite {
					t.Errorf("suite %s", tls.CipherSuiteName(suite))
				}
				if _, err := identity.VerifyChain(session.Chain, id.Fingerprint(), time.Now()); err != nil {
					t.Error(err)
				}
				checked++
			})
		}
	}
	t.Logf("checked %d cases", checked)
}

// openSSLServer connects to an openssl server and returns the client's session and what openssl printed.
func openSSLServer(t *testing.T, cfg *tls.Config, args ...string) (*Session, []byte) {
	t.Helper()
	args = append([]string{"s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-msg"}, args...)
	cmd := openSSL(t, args...)
	in, err := cmd.StdinPipe() // openssl ends when it closes
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	lines := bufio.NewScanner(out)
	var session *Session
	for lines.Scan() {
		fmt.Fprintln(&output, lines.Text())
		address, ok := strings.CutPrefix(lines.Text(), "ACCEPT ")
		if !ok || session != nil {
			continue
		}
		raw, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		session, err = clientHandshake(t.Context(), raw, cfg)
		if err != nil {
			t.Fatal(err)
		}
		session.Conn.Close()
	}
	cmd.Wait() // its exit code tells how the connection ended
	if session == nil {
		t.Fatalf("no connection:\n%s", output.Bytes())
	}
	return session, output.Bytes()
}

// openSSL returns an openssl command that ends with the test.
func openSSL(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "openssl", args...)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pemFiles are an identity's files as openssl takes them.
type pemFiles struct{ ca, leaf, key string }

func writePEM(t *testing.T, id *identity.Identity) pemFiles {
	t.Helper()
	dir := t.TempDir()
	files := pemFiles{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "leaf.pem"), filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{
		files.ca:   {Type: "CERTIFICATE", Bytes: id.Chain[1]},
		files.leaf: {Type: "CERTIFICATE", Bytes: id.Chain[0]},
		files.key:  {Type: "PRIVATE KEY", Bytes: pkcs8(t, id)},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func pkcs8(t *testing.T, id *identity.Identity) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(id.LeafKey())
	if err != nil {
		t.Fatal(err)
	}
	return der
}
