package proxy

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// requireOpenSSL skips the test where there is no openssl, but not in CI.
func requireOpenSSL(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

// older is a relay whose TLS is that of openssl, and whose keys are Ed448, as those of most relays in the field.
type older struct {
	t          *testing.T
	chain      [][]byte
	key        crypto.Signer // of the leaf
	address    string
	in         io.WriteCloser // what is sent inside TLS
	out        io.Reader      // what was received
	handshakes string         // a file with the messages of TLS
}

// startOlder makes a chain of Ed448 keys and starts openssl with it.
func startOlder(t *testing.T) *older {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	o := &older{t: t}
	o.chain, o.key = identitytest.Service(t, key.Ed448, 2, nil)
	secret, err := auth.NewKey(key.Ed448, o.key.(interface{ Seed() []byte }).Seed())
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"leaf.crt": {Type: "CERTIFICATE", Bytes: o.chain[0]},
		"ca.crt":   {Type: "CERTIFICATE", Bytes: o.chain[1]},
		"leaf.key": {Type: "PRIVATE KEY", Bytes: secret.AppendPKCS8(nil)},
	} {
		if err := os.WriteFile(in(name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.start(in)
	return o
}

// start starts openssl with the parameters of relays in the field. With -quiet it passes on what is inside TLS and nothing
// else, so it cannot say which port it has: it is given one.
func (o *older) start(in func(string) string) {
	o.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	o.address, o.handshakes = ln.Addr().String(), in("handshakes")
	_ = ln.Close()
	cmd := exec.CommandContext(o.t.Context(), "openssl", "s_server", "-quiet", "-accept", o.address, "-naccept", "1", "-tls1_3", "-msg", "-msgfile", o.handshakes,
		"-cert", in("leaf.crt"), "-key", in("leaf.key"), "-cert_chain", in("ca.crt"), "-alpn", "smp/1",
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "X448:X25519", "-sigalgs", "ed448:ed25519")
	if o.in, err = cmd.StdinPipe(); err == nil {
		o.out, err = cmd.StdoutPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() {
		_ = o.in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// received finds the Finished message that openssl has received.
var received = regexp.MustCompile(`(?m)^<<< TLS 1\.3, Handshake \[length [0-9a-f]+\], Finished\n((?:    .*\n)+)`)

// sessionID waits for the end of the handshake and returns the client's Finished message, nil if it never comes.
func (o *older) sessionID() []byte {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		file, _ := os.ReadFile(o.handshakes)
		found := received.FindSubmatch(file)
		if found == nil {
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(found[1])), ""))
		if err == nil && len(b) == 4+sha256.Size { // otherwise not all of it is written
			return b[4:]
		}
	}
	return nil
}

// pipe is the inside of TLS as a connection of blocks.
type pipe struct {
	net.Conn
	io.Reader
	io.Writer
}

func (p pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return p.Writer.Write(b) }

// shake is the relay's part of the hellos.
func (o *older) shake() (*peer, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := key.FromECDH(private.PublicKey())
	if err != nil {
		return nil, err
	}
	p := &peer{fake: &fake{t: o.t}, blocks: transport.NewBlockConn(pipe{Reader: o.out, Writer: o.in}), private: private}
	hello := smp.ServerHello{
		Versions: wire.VersionRange{Min: 6, Max: 18}, SessionID: o.sessionID(), Chain: o.chain, SignedKey: auth.SignKey(o.key, public),
	}
	if err := p.blocks.WriteHello(hello.AppendTo(nil)); err != nil {
		return nil, err
	}
	return p, p.readHello()
}

// serve is the relay's part of a session with one command.
func (o *older) serve() error {
	p, err := o.shake()
	if err != nil {
		return err
	}
	r, err := p.receive()
	if err == nil {
		p.reply(r, p.echo(r))
	}
	return err
}

// TestEd448Relay connects to a relay with Ed448 keys, and forwards a command.
func TestEd448Relay(t *testing.T) {
	requireOpenSSL(t)
	o := startOlder(t)
	host, port, _ := net.SplitHostPort(o.address)
	fingerprint := sha256.Sum256(o.chain[1])
	server := smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{smp.Host(host)}, Port: port}
	served := make(chan error, 1)
	go func() { served <- o.serve() }()
	r := newRelays(t, Options{ErrorTTL: 1}) // openssl takes its time to listen
	var s *Session
	eventually(t, "a session", func() bool {
		s, _ = r.Connect(testContext(t), server)
		return s != nil
	})
	forward(t, s)
	if err := <-served; err != nil {
		t.Error(err)
	}
	leaf, err := x509.ParseCertificate(s.Key().Chain[0])
	if err != nil || !bytes.Equal(leaf.Raw, o.chain[0]) {
		t.Fatalf("another chain, %v", err)
	}
	if k, err := key.Parse(leaf.RawSubjectPublicKeyInfo); err != nil || k.Algorithm() != key.Ed448 {
		t.Errorf("the leaf is not Ed448: %v", err)
	}
}
