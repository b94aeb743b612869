package tls13

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/ed448"

	"sotto/shared/identity"
	"sotto/shared/installed"
)

// openssl runs a command that ends with the test.
func openssl(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "openssl", args...)
}

// issued are the files of a chain that openssl has made.
type issued struct {
	ca, leaf, key string
}

// issue has openssl make an authority and a leaf, of these algorithms.
func issue(t *testing.T, authority, leaf string) issued {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) {
		t.Helper()
		if out, err := openssl(t, args...).CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", args[0], err, out)
		}
	}
	if err := os.WriteFile(in("leaf.ext"), []byte("basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("req", "-x509", "-newkey", authority, "-nodes", "-keyout", in("ca.key"), "-out", in("ca.crt"), "-subj", "/CN=CA", "-days", "2")
	run("req", "-new", "-newkey", leaf, "-nodes", "-keyout", in("leaf.key"), "-out", in("leaf.csr"), "-subj", "/CN=localhost")
	run("x509", "-req", "-in", in("leaf.csr"), "-CA", in("ca.crt"), "-CAkey", in("ca.key"), "-CAcreateserial", "-out", in("leaf.crt"),
		"-days", "1", "-extfile", in("leaf.ext"))
	return issued{in("ca.crt"), in("leaf.crt"), in("leaf.key")}
}

// der reads a file of one PEM block.
func der(t *testing.T, path string) []byte {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file)
	if block == nil {
		t.Fatalf("no PEM in %s", filepath.Base(path))
	}
	return block.Bytes
}

// certificate returns the chain with its key.
func (f issued) certificate(t *testing.T) *Certificate {
	t.Helper()
	c := &Certificate{Chain: [][]byte{der(t, f.leaf), der(t, f.ca)}}
	secret := der(t, f.key)
	if parsed, err := x509.ParsePKCS8PrivateKey(secret); err == nil {
		c.Key = parsed.(crypto.Signer)
		return c
	}
	c.Key = ed448.NewKeyFromSeed(secret[len(secret)-ed448.SeedSize:])
	return c
}

// server is an openssl server in use by one connection.
type opensslServer struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	seen  bytes.Buffer
}

// startServer starts openssl and returns it with its address.
func startServer(t *testing.T, f issued, args ...string) (*opensslServer, string) {
	t.Helper()
	cmd := openssl(t, append([]string{
		"s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-msg", "-tls1_3", "-cert", f.leaf, "-key", f.key, "-cert_chain", f.ca,
	}, args...)...)
	s := &opensslServer{cmd: cmd}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if s.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(out)
	address := s.until(t, "ACCEPT ")
	return s, strings.TrimPrefix(address, "ACCEPT ")
}

// until reads what openssl prints up to the line with this beginning.
func (s *opensslServer) until(t *testing.T, beginning string) string {
	t.Helper()
	for s.lines.Scan() {
		fmt.Fprintln(&s.seen, s.lines.Text())
		if strings.HasPrefix(s.lines.Text(), beginning) {
			return s.lines.Text()
		}
	}
	t.Fatalf("openssl has not printed %q:\n%s", beginning, s.seen.Bytes())
	return ""
}

// end reads the rest and returns all that openssl has printed.
func (s *opensslServer) end() string {
	s.in.Close()
	for s.lines.Scan() {
		fmt.Fprintln(&s.seen, s.lines.Text())
	}
	_ = s.cmd.Wait() // its exit code tells how the connection ended
	return s.seen.String()
}

// received finds the Finished message that openssl has received in what it has printed.
var received = regexp.MustCompile(`(?m)^<<< TLS 1\.3, Handshake \[length [0-9a-f]+\], Finished\n((?:    .*\n)+)`)

func receivedFinished(t *testing.T, output string) []byte {
	t.Helper()
	found := received.FindStringSubmatch(output)
	if found == nil {
		t.Fatalf("openssl has received no Finished:\n%s", output)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(found[1]), ""))
	if err != nil || len(b) < messageHeader {
		t.Fatalf("Finished of %d bytes, %v", len(b), err)
	}
	return b[messageHeader:]
}

type opensslCase struct {
	name    string
	args    []string
	suite   uint16
	retried bool
}

var opensslCases = []opensslCase{
	{"relay", []string{"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-alpn", "smp/1"}, ChaCha20Poly1305, false},
	{"as upstream", []string{
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "X448:X25519", "-sigalgs", "ed448:ed25519", "-alpn", "smp/1",
	}, ChaCha20Poly1305, false},
	{"AES-128", []string{"-ciphersuites", "TLS_AES_128_GCM_SHA256"}, AES128GCM, false},
	{"AES-256", []string{"-ciphersuites", "TLS_AES_256_GCM_SHA384"}, AES256GCM, false},
	{"cookie", []string{"-stateless"}, ChaCha20Poly1305, true},
	{"tickets", []string{"-num_tickets", "5"}, ChaCha20Poly1305, false},
	{"records padded", []string{"-record_padding", "512"}, ChaCha20Poly1305, false},
	{"records split", []string{"-max_send_frag", "512", "-split_send_frag", "512"}, ChaCha20Poly1305, false},
	{"client's certificate", []string{"-Verify", "2", "-verify_return_error"}, ChaCha20Poly1305, false},
}

// TestOpenSSL makes handshakes with openssl, with chains that it has made of both algorithms.
func TestOpenSSL(t *testing.T) {
	installed.Program(t, "openssl", "openssl")
	checked := 0
	for _, authority := range []string{"ed25519", "ed448"} {
		for _, leaf := range []string{"ed25519", "ed448"} {
			files := issue(t, authority, leaf)
			for _, c := range opensslCases {
				t.Run(fmt.Sprintf("%s by %s, %s", leaf, authority, c.name), func(t *testing.T) {
					checkOpenSSL(t, files, c)
					checked++
				})
			}
		}
	}
	t.Logf("checked %d cases", checked)
}

func checkOpenSSL(t *testing.T, files issued, c opensslCase) {
	t.Helper()
	own := files.certificate(t)
	fingerprint := sha256.Sum256(own.Chain[1])
	server, address := startServer(t, files, append([]string{"-CAfile", files.ca}, c.args...)...)
	cfg := &Config{
		ALPN: []string{"smp/1"}, Suites: []uint16{c.suite}, Certificate: own,
		VerifyChain: func(chain [][]byte) error {
			_, err := identity.VerifyChain(chain, fingerprint, time.Now())
			return err
		},
	}
	raw, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if c.retried {
		raw = unchanged{raw}
	}
	client, err := Client(t.Context(), raw, cfg)
	if err != nil {
		t.Fatalf("%v\n%s", err, server.end())
	}
	if _, err := client.Write([]byte("from the client\n")); err != nil {
		t.Fatal(err)
	}
	server.until(t, "from the client")
	checkSaid(t, server, client)
	state := client.State()
	client.Close()
	server.until(t, "<<< TLS 1.3, Alert [length 0002], warning close_notify")
	output := server.end()
	if got := receivedFinished(t, output); !bytes.Equal(got, state.ClientFinished) {
		t.Errorf("session id %x, openssl has received %x", state.ClientFinished, got)
	}
	if state.Suite != c.suite || state.Retried != c.retried {
		t.Errorf("suite %x, retried %t", state.Suite, state.Retried)
	}
	shown := strings.Contains(output, "Client certificate")
	if want := c.name == "client's certificate"; shown != want || want && !strings.Contains(output, "CertificateVerify") {
		t.Errorf("openssl has seen a client certificate: %t\n%s", shown, output)
	}
}

// unchanged leaves out the change_cipher_spec that a client sends. openssl's server with cookies does not take it, from its
// own client either.
type unchanged struct{ net.Conn }

func (c unchanged) Write(p []byte) (int, error) {
	rest, ok := bytes.CutPrefix(p, []byte{recordChangeCipherSpec, 3, 3, 0, 1, 1})
	n, err := c.Conn.Write(rest)
	if ok {
		n += len(p) - len(rest)
	}
	return n, err
}

// checkSaid has openssl say a line, change the keys of both ends, and say another.
func checkSaid(t *testing.T, server *opensslServer, client *Conn) {
	t.Helper()
	read := bufio.NewReader(client)
	say := func(line string) {
		t.Helper()
		if _, err := io.WriteString(server.in, line); err != nil {
			t.Fatal(err)
		}
		if got, err := read.ReadString('\n'); err != nil || got != line {
			t.Fatalf("%q, %v", got, err)
		}
	}
	say("from the server\n")
	if _, err := io.WriteString(server.in, "K\n"); err != nil { // a command: change keys and request it
		t.Fatal(err)
	}
	server.until(t, ">>> TLS 1.3, Handshake [length 0005], KeyUpdate")
	say("after the change\n")
	if _, err := client.Write([]byte("changed too\n")); err != nil {
		t.Fatal(err)
	}
	server.until(t, "changed too")
}
