package tls13

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
)

// served is what one side of a handshake ended with.
type served struct {
	conn *Conn
	err  error
}

// serveOn makes the server's side of a handshake on raw, at the same time.
func serveOn(t testing.TB, raw net.Conn, cfg *ServerConfig) <-chan served {
	done := make(chan served, 1)
	go func() {
		c, err := Server(t.Context(), raw, cfg)
		done <- served{c, err}
	}()
	return done
}

// verifyClient checks the chains of clients as relays do.
func verifyClient(chain [][]byte) error {
	_, err := identity.VerifyClientChain(chain, time.Now())
	return err
}

// TestServerWithGo has the clients of crypto/tls.
func TestServerWithGo(t *testing.T) {
	shown, leaf := identitytest.Service(t, key.Ed25519, 2, nil)
	certificates := []tls.Certificate{{Certificate: shown, PrivateKey: leaf}}
	for _, tc := range []struct {
		name   string
		client *tls.Config
		ask    bool
		alpn   string
		shown  int
	}{
		{"app", &tls.Config{NextProtos: []string{"smp/1"}}, true, "smp/1", 0},
		{"old app", &tls.Config{}, false, "", 0},
		{"browser", &tls.Config{NextProtos: []string{"h2", "http/1.1"}, ServerName: "relay.example"}, true, "http/1.1", 0},
		{"service", &tls.Config{NextProtos: []string{"smp/1"}, Certificates: certificates}, true, "smp/1", 2},
		{"service, not asked", &tls.Config{NextProtos: []string{"smp/1"}, Certificates: certificates}, false, "smp/1", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testServer(t, key.Ed25519)
			if tc.ask {
				cfg.VerifyClient = verifyClient
			}
			clientRaw, serverRaw := loopback(t)
			done := serveOn(t, serverRaw, cfg)
			tc.client.InsecureSkipVerify, tc.client.MinVersion = true, tls.VersionTLS13
			client := tls.Client(clientRaw, tc.client)
			if err := client.HandshakeContext(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := <-done
			if s.err != nil {
				t.Fatal(s.err)
			}
			state, theirs := s.conn.State(), client.ConnectionState()
			if theirs.NegotiatedProtocol != tc.alpn || state.ALPN != tc.alpn || state.ServerName != tc.client.ServerName {
				t.Errorf("protocols %q and %q, name %q", theirs.NegotiatedProtocol, state.ALPN, state.ServerName)
			}
			if len(state.PeerChain) != tc.shown || tc.shown > 0 && !bytes.Equal(state.PeerChain[1], shown[1]) {
				t.Errorf("%d certificates of the client", len(state.PeerChain))
			}
			if !bytes.Equal(theirs.PeerCertificates[0].Raw, cfg.Certificate.Chain[0]) || len(state.ClientFinished) != 32 {
				t.Error("another certificate, or no session id")
			}
			exchange(t, client, s.conn)
		})
	}
}

// exchange sends data both ways, and the ends of both.
func exchange(t *testing.T, client, server interface {
	net.Conn
	CloseWrite() error
},
) {
	t.Helper()
	message := bytes.Repeat([]byte("block"), 10_000)
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		failed := make(chan error, 1)
		go func() {
			_, err := way[0].Write(message)
			failed <- err
		}()
		got := make([]byte, len(message))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, message) {
			t.Errorf("received something else: %v", err)
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(client.CloseWrite(), server.CloseWrite()); err != nil {
		t.Error(err)
	}
	for _, conn := range []net.Conn{client, server} {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
	}
}

// TestServerWithOwn has this package's client, with certificates of both algorithms and every length.
func TestServerWithOwn(t *testing.T) {
	late := func(c *identitytest.Template) { c.Until = time.Now().Add(-time.Minute) }
	for _, tc := range []struct {
		name   string
		length int
		change func(*identitytest.Template)
		want   error
	}{
		{"none", 0, nil, nil},
		{"one", 1, nil, nil},
		{"two", 2, nil, nil},
		{"four", 4, nil, nil},
		{"five", 5, nil, ErrTooLarge},
		{"expired", 1, late, identity.ErrDates},
		{"expired, with an authority", 2, late, identity.ErrDates},
		{"another usage", 1, func(c *identitytest.Template) { c.Usage = 1 << 4 }, identity.ErrUsage},
		{"of another issuer", 1, func(c *identitytest.Template) { c.Issuer = "another" }, identity.ErrIssuer},
	} {
		for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
			t.Run(tc.name+" "+a.String(), func(t *testing.T) {
				server := testServer(t, a)
				server.VerifyClient = verifyClient
				client := &Config{VerifyChain: func([][]byte) error { return nil }, ALPN: []string{"smp/1"}}
				if tc.length > 0 {
					chain, leaf := identitytest.Service(t, a, tc.length, tc.change)
					client.Certificate = &Certificate{Chain: chain, Key: leaf}
				}
				c, s := shake(t, client, server)
				if !errors.Is(s.err, tc.want) {
					t.Fatalf("%v, want %v", s.err, tc.want)
				}
				if tc.want != nil {
					// The client has done its part, and reads the alert after it.
					if _, err := c.conn.Read(make([]byte, 1)); !errors.As(err, new(Alert)) {
						t.Errorf("the client: %v", err)
					}
					return
				}
				if c.err != nil || !bytes.Equal(c.conn.State().ClientFinished, s.conn.State().ClientFinished) {
					t.Fatalf("other session ids, or %v", c.err)
				}
				if got := s.conn.State().PeerChain; len(got) != tc.length {
					t.Errorf("%d certificates", len(got))
				}
				exchange(t, c.conn, s.conn)
			})
		}
	}
}

// shake makes both sides of a handshake.
func shake(t testing.TB, client *Config, server *ServerConfig) (c, s served) {
	t.Helper()
	clientRaw, serverRaw := loopback(t)
	done := serveOn(t, serverRaw, server)
	c.conn, c.err = Client(t.Context(), clientRaw, client)
	return c, <-done
}

func TestServerConfig(t *testing.T) {
	chain, leaf := identitytest.Service(t, key.Ed25519, 5, nil)
	for name, cfg := range map[string]*ServerConfig{
		"none": nil, "no certificate": {}, "no key": {Certificate: &Certificate{Chain: chain[:2]}},
		"no chain": {Certificate: &Certificate{Key: leaf}}, "five certificates": {Certificate: &Certificate{Chain: chain, Key: leaf}},
	} {
		_, serverRaw := loopback(t)
		if _, err := Server(context.Background(), serverRaw, cfg); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
