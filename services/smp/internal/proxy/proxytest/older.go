// Package proxytest is a relay as most in the field are, for tests of private routing: its TLS is that of openssl, and its
// keys are Ed448.
package proxytest

import (
	"bufio"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
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

	"sotto/shared/auth"
	"sotto/shared/identity/identitytest"
	"sotto/shared/installed"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Older is the relay. It serves one connection.
type Older struct {
	Chain [][]byte // its certificates in DER, leaf first, all with Ed448 keys

	t          testing.TB
	key        crypto.Signer // of the leaf
	address    string
	in         io.WriteCloser // what is sent inside TLS
	out        io.Reader      // what was received
	handshakes *os.File       // the messages of TLS, as they come
}

// Start makes a chain of Ed448 keys and starts openssl with it. Without openssl the test is skipped, but not in CI.
func Start(t testing.TB) *Older {
	t.Helper()
	installed.Program(t, "openssl", "openssl")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	o := &Older{t: t}
	o.Chain, o.key = identitytest.Service(t, key.Ed448, 2, nil)
	secret, err := auth.NewKey(key.Ed448, o.key.(interface{ Seed() []byte }).Seed())
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"leaf.crt": {Type: "CERTIFICATE", Bytes: o.Chain[0]},
		"ca.crt":   {Type: "CERTIFICATE", Bytes: o.Chain[1]},
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
func (o *Older) start(in func(string) string) {
	o.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	o.address = ln.Addr().String()
	_ = ln.Close()
	cmd := exec.Command("openssl", "s_server", "-quiet", "-accept", o.address, "-naccept", "1", "-tls1_3",
		"-msg", "-msgfile", "/dev/fd/3", // the first of ExtraFiles
		"-cert", in("leaf.crt"), "-key", in("leaf.key"), "-cert_chain", in("ca.crt"), "-alpn", "smp/1",
		"-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256", "-groups", "X448:X25519", "-sigalgs", "ed448:ed25519")
	var messages *os.File
	if o.handshakes, messages, err = os.Pipe(); err != nil {
		o.t.Fatal(err)
	}
	defer messages.Close()
	cmd.ExtraFiles = []*os.File{messages}
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
		_, _ = o.in.Close(), o.handshakes.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// Server is its address.
func (o *Older) Server() smp.Server {
	host, port, _ := net.SplitHostPort(o.address)
	fingerprint := sha256.Sum256(o.Chain[1])
	return smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{smp.Host(host)}, Port: port}
}

// received begins the Finished message that openssl has received; its bytes follow, in lines that are indented.
var received = regexp.MustCompile(`^<<< TLS 1\.3, Handshake \[length [0-9a-f]+\], Finished$`)

// finishedSize is the length of a Finished message, with its header.
const finishedSize = 4 + sha256.Size

// sessionID waits for the end of the handshake and returns the client's Finished message, nil if there is none. What comes
// afterwards is read too, so that openssl never waits.
func (o *Older) sessionID() []byte {
	lines := bufio.NewScanner(o.handshakes)
	for lines.Scan() && !received.MatchString(lines.Text()) {
	}
	var finished []byte
	for len(finished) < finishedSize && lines.Scan() {
		b, err := hex.DecodeString(strings.Join(strings.Fields(lines.Text()), ""))
		if err != nil {
			return nil
		}
		finished = append(finished, b...)
	}
	go io.Copy(io.Discard, o.handshakes)
	if len(finished) != finishedSize {
		return nil
	}
	return finished[4:]
}

// pipe is the inside of TLS as a connection of blocks.
type pipe struct {
	net.Conn
	io.Reader
	io.Writer
}

func (p pipe) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p pipe) Write(b []byte) (int, error) { return p.Writer.Write(b) }

// hello is the relay's part of the hellos.
func (o *Older) hello() (*session, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	public, err := key.FromECDH(private.PublicKey())
	if err != nil {
		return nil, err
	}
	s := &session{id: o.sessionID(), private: private, blocks: transport.NewBlockConn(pipe{Reader: o.out, Writer: o.in})}
	hello := smp.ServerHello{
		Versions: wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion}, SessionID: s.id, Chain: o.Chain,
		SignedKey: auth.SignKey(o.key, public),
	}
	if err := s.blocks.WriteHello(hello.AppendTo(nil)); err != nil {
		return nil, err
	}
	return s, s.readHello()
}
