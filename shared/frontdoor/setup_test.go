package frontdoor_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/certs"
	"sotto/shared/frontdoor"
	"sotto/shared/handover"
	"sotto/shared/identity"
	"sotto/shared/relay"
	"sotto/shared/transport"
)

// patience is for things that happen, on a busy machine.
const patience = 20 * time.Second

// preface is what clients of file relays begin with after the handshake.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "relay.example", time.Now())
	must(t, err)
	return id
}

// selfSigned is a certificate for this name.
func selfSigned(t testing.TB, name string) *tls.Certificate {
	t.Helper()
	cert, err := certs.SelfSigned([]string{name})
	must(t, err)
	return cert
}

// house is a door with two relays that tell who they are.
type house struct {
	id, filesID *identity.Identity
	own, files  string // host names
	noFiles     bool   // there is no file relay

	at         string // of the door
	door       *frontdoor.Door
	inner      *transport.Listener
	filesLn    net.Listener
	listener   *transport.Listener
	log        relay.Output
	web, acme  *tls.Certificate
	handedOver chan *transport.Session // to the file relay
	messages   chan *transport.Session // of the message relay
}

// open starts everything.
func (h *house) open(t testing.TB) *house {
	t.Helper()
	if h.id == nil {
		h.id = newIdentity(t)
	}
	if h.filesID == nil {
		h.filesID = h.id
	}
	if h.own == "" {
		h.own, h.files = "smp.example", "xftp.example"
	}
	h.handedOver, h.messages = make(chan *transport.Session, 16), make(chan *transport.Session, 64)
	h.web, h.acme = selfSigned(t, h.own), selfSigned(t, "challenge.example")
	files := h.openFiles(t)
	ln, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.Limits{})
	must(t, err)
	h.listener, h.at = ln, ln.Addr().String()
	h.door = frontdoor.New(ln, frontdoor.Options{
		Hosts: []string{h.own}, Identity: h.id, Certificates: true, Files: files, Log: zerolog.New(&h.log),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return h.web, nil },
		Challenge:   func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return h.acme, nil },
		Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "page by "+r.Proto)
		}),
	})
	served := make(chan error, 1)
	go func() { served <- h.door.Serve() }()
	go serveRelay(h.door.Messages(), transport.NewMessageTLS(h.id, true).Handshake, "messages", h.messages)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.door.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return h
}

// openFiles starts the file relay.
func (h *house) openFiles(t testing.TB) frontdoor.Files {
	t.Helper()
	if h.noFiles {
		return frontdoor.Files{}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	inner, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.Limits{})
	must(t, err)
	h.filesLn, h.inner = ln, inner
	t.Cleanup(func() { _, _ = ln.Close(), inner.Close() })
	shake := transport.NewFileTLS(h.filesID, []string{"xftp/1", transport.ALPN, transport.ALPNHTTP2, transport.ALPNHTTP1}, nil)
	handshake := func(ctx context.Context, raw net.Conn) (*transport.Session, error) {
		s, _, err := shake.Handshake(ctx, raw)
		return s, err
	}
	go serveRelay(ln, handshake, "files", nil)
	go serveRelay(handover.Listener{Listener: inner}, handshake, "handed over", h.handedOver)
	return frontdoor.Files{Hosts: []string{h.files}, Address: ln.Addr().String(), Inner: inner.Addr().String()}
}

// serveRelay is a relay that tells its name, as message relays speak first, and then says all again that it is told.
func serveRelay(
	ln net.Listener, handshake func(context.Context, net.Conn) (*transport.Session, error), name string,
	sessions chan<- *transport.Session,
) {
	for {
		raw, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			session, err := handshake(context.Background(), raw)
			if err != nil {
				return
			}
			defer func() { _ = session.Conn.Close() }()
			if sessions != nil {
				sessions <- session
			}
			_, _ = io.WriteString(session.Conn, name+"\n")
			_, _ = io.Copy(session.Conn, session.Conn)
			_ = session.CloseWrite()
		}()
	}
}

// dial connects to the door as a client with this configuration that expects the fingerprint.
func (h *house) dial(t testing.TB, id *identity.Identity, name string, alpn ...string) *transport.Session {
	t.Helper()
	raw, err := net.Dial("tcp", h.at)
	must(t, err)
	session, err := transport.ClientHandshake(t.Context(), raw, transport.ClientConfig{
		Fingerprint: id.Fingerprint(), ALPN: alpn, ServerName: name,
	})
	must(t, err)
	must(t, session.Conn.SetDeadline(time.Now().Add(patience)))
	t.Cleanup(func() { _ = session.Abort() })
	return session
}

// expect reads a line.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want)+1)
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want+"\n" {
		t.Fatalf("%q, %v, want %q", got, err, want)
	}
}

// says waits for a line of the door's log.
func (h *house) says(t testing.TB, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := h.log.WaitLine(ctx, 0, text); err != nil {
		t.Fatalf("the door never says %q: %v", text, err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never happened: " + what)
		}
	}
}

// writeStacks writes the stacks of all goroutines.
func writeStacks(w io.Writer) { _ = pprof.Lookup("goroutine").WriteTo(w, 2) }
