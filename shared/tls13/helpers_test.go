package tls13

import (
	"bytes"
	"crypto/sha256"
	"io"
	"net"
	"testing"
	"time"

	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
)

// relay returns the chain of a relay, leaf and identity, with the leaf's key.
func relay(t testing.TB, a key.Algorithm) *Certificate {
	t.Helper()
	chain, leaf := identitytest.Service(t, a, 2, nil)
	return &Certificate{Chain: chain, Key: leaf}
}

// trusts returns what a client with the address of a relay checks.
func trusts(relay *Certificate) func(chain [][]byte) error {
	fingerprint := sha256.Sum256(relay.Chain[1])
	return func(chain [][]byte) error {
		_, err := identity.VerifyChain(chain, fingerprint, time.Now())
		return err
	}
}

// loopback returns the two ends of a TCP connection over loopback, which the test closes.
func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// both makes a handshake between a client and a script over TCP.
func both(t testing.TB, s *script, cfg *Config) (client, server *Conn) {
	t.Helper()
	clientRaw, serverRaw := loopback(t)
	failed := make(chan error, 1)
	go func() {
		var err error
		server, err = s.serve(t.Context(), serverRaw)
		failed <- err
	}()
	client, err := Client(t.Context(), clientRaw, cfg)
	if serverErr := <-failed; err != nil || serverErr != nil {
		t.Fatalf("client: %v, server: %v", err, serverErr)
	}
	return client, server
}

// same is a source of bytes that are always the same.
type same struct{}

func (same) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	return len(p), nil
}

// canned is a connection whose peer has said all that it will ever say.
type canned struct {
	net.Conn
	in  io.Reader
	out bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *canned) Close() error                     { return nil }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// against makes a handshake with what was recorded.
func against(t testing.TB, flight []byte, cfg *Config) (*Conn, *canned, error) {
	t.Helper()
	raw := &canned{in: bytes.NewReader(flight)}
	c, err := Client(t.Context(), raw, cfg)
	return c, raw, err
}

// recorded returns a configuration that makes the same ClientHello every time, and all that a script sends to it.
func recorded(t testing.TB, s *script) (*Config, []byte) {
	t.Helper()
	cfg := &Config{VerifyChain: trusts(s.own), Rand: same{}, ALPN: []string{"smp/1"}, Suites: s.offered()}
	_, client, _ := against(t, nil, cfg)
	server := &canned{in: &client.out}
	if c, err := s.serve(t.Context(), server); c != nil || err != io.ErrUnexpectedEOF {
		t.Fatalf("script: %v", err)
	}
	return cfg, server.out.Bytes()
}

// transfer sends data from one end to the other and checks that it arrives.
func transfer(t testing.TB, from, to *Conn, data []byte) {
	t.Helper()
	failed := make(chan error, 1)
	go func() {
		_, err := from.Write(data)
		failed <- err
	}()
	got := make([]byte, len(data))
	if _, err := io.ReadFull(to, got); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; err != nil || !bytes.Equal(got, data) {
		t.Fatalf("%v, data arrived: %t", err, bytes.Equal(got, data))
	}
}
