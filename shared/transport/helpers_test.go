package transport

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
)

// newIdentity creates an identity in a directory of the test.
func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// newUnderEd448 creates an identity whose leaf was issued by an Ed448 authority.
func newUnderEd448(t testing.TB) *identity.Identity {
	t.Helper()
	dir := t.TempDir()
	identitytest.WriteEd448(t, dir, time.Now())
	id, err := identity.Renew(dir, "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// tcpPair returns the two ends of a TCP connection over loopback, which the test closes.
func tcpPair(t testing.TB) (client, server net.Conn) {
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

// outcome is the result of one side of a handshake.
type outcome struct {
	session *Session
	err     error
}

// handshakes runs both sides at once over a TCP connection.
func handshakes(t testing.TB, client, server func(context.Context, net.Conn) (*Session, error)) (c, s outcome) {
	t.Helper()
	clientRaw, serverRaw := tcpPair(t)
	return runBoth(t, clientRaw, serverRaw, client, server)
}

func runBoth(
	t testing.TB, clientRaw, serverRaw net.Conn, client, server func(context.Context, net.Conn) (*Session, error),
) (c, s outcome) {
	t.Helper()
	done := make(chan outcome)
	go func() {
		session, err := server(t.Context(), serverRaw)
		done <- outcome{session, err}
	}()
	session, err := client(t.Context(), clientRaw)
	return outcome{session, err}, <-done
}

// serve returns the relay's side with cfg.
func serve(cfg *tls.Config) func(context.Context, net.Conn) (*Session, error) {
	return func(ctx context.Context, raw net.Conn) (*Session, error) { return ServerHandshake(ctx, raw, cfg) }
}

// engines are the ways in which a relay with this identity makes its handshakes.
func engines(id *identity.Identity) map[string]func(context.Context, net.Conn) (*Session, error) {
	return map[string]func(context.Context, net.Conn) (*Session, error){
		"crypto/tls": serve(ServerConfig(id)), "tls13": NewMessageTLS(id, true).Handshake,
	}
}

// connect returns the client's side with cfg.
func connect(cfg ClientConfig) func(context.Context, net.Conn) (*Session, error) {
	return func(ctx context.Context, raw net.Conn) (*Session, error) { return ClientHandshake(ctx, raw, cfg) }
}

// connectTLS returns the client's side with any TLS configuration.
func connectTLS(cfg *tls.Config) func(context.Context, net.Conn) (*Session, error) {
	return func(ctx context.Context, raw net.Conn) (*Session, error) { return clientHandshake(ctx, raw, cfg) }
}

// slowReader gives one byte per read.
type slowReader struct{ net.Conn }

func (c slowReader) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(1, len(p))]) }
