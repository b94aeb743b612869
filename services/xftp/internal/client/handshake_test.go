package client_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// TestProtocols are the kinds of connections there are. Spec: xftp.md 3.3
func TestProtocols(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{Web: true})
	web := &client.Web{ServerName: clienttest.WebName, Roots: relay.Roots}
	for _, tc := range []struct {
		name    string
		options client.Options
		alpn    string
		version wire.Version
		session int
		suite   uint16
	}{
		{"app", client.Options{}, "xftp/1", 3, 32, tls.TLS_CHACHA20_POLY1305_SHA256},
		{"app in web port mode", client.Options{ALPN: []string{"http/1.1"}}, "http/1.1", 3, 32, tls.TLS_CHACHA20_POLY1305_SHA256},
		{"very old app", client.Options{ALPN: []string{}}, "", 1, 32, tls.TLS_CHACHA20_POLY1305_SHA256},
		{"TLS 1.2", client.Options{MaxTLS: tls.VersionTLS12}, "xftp/1", 3, 12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		{"browser", client.Options{Web: web}, "h2", 3, 32, tls.TLS_CHACHA20_POLY1305_SHA256},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := dial(t, relay.Address(), tc.options)
			session := c.Conn().Session()
			if session.ALPN != tc.alpn || c.Version() != tc.version || len(session.ID) != tc.session ||
				!bytes.Equal(session.ID, c.Relay().SessionID) || session.TLS().CipherSuite != tc.suite {
				t.Errorf("ALPN %q, version %d, session id of %d bytes", session.ALPN, c.Version(), len(session.ID))
			}
			k := upload(t, c, size)
			if got, err := k.get(t.Context(), c); err != nil || !bytes.Equal(got, k.body) {
				t.Errorf("download: %v", err)
			}
		})
	}
}

// TestStages checks that all steps of dialling are told in their order.
func TestStages(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	var stages []client.Stage
	dial(t, relay.Address(), client.Options{OnStage: func(s client.Stage) { stages = append(stages, s) }})
	if len(stages) != 3 || stages[0] != client.StageConnect || stages[1] != client.StageTLS || stages[2] != client.StageHello {
		t.Errorf("stages %v", stages)
	}
}

// TestHeaders checks what a relay sees of a native client: nothing of its own.
func TestHeaders(t *testing.T) {
	seen := make(chan http.Header, 3)
	relay := clienttest.Start(t, clienttest.Options{Hook: func(_ http.ResponseWriter, r *clienttest.Request) bool {
		if r.Method != http.MethodPost || r.URL.Path != "/" || r.Host != "127.0.0.1" {
			t.Errorf("%s %s for another host", r.Method, r.URL.Path)
		}
		seen <- r.Request.Header
		return false
	}})
	if err := dial(t, relay.Address(), client.Options{}).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h := <-seen
		h.Del("Content-Length")
		if len(h) != 0 {
			t.Errorf("headers %v", h)
		}
	}
}

// refuses dials a relay and returns the error after a check of its stage and text.
func refuses(t *testing.T, server address.Server, o client.Options, stage client.Stage, want error) {
	t.Helper()
	c, err := client.Dial(t.Context(), server, o)
	if err == nil {
		_ = c.Close()
		t.Fatal("connected")
	}
	var failed *client.DialError
	if !errors.As(err, &failed) || failed.Stage != stage || want != nil && !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
	checkText(t, err)
}

func TestWrongIdentity(t *testing.T) {
	relay := clienttest.Start(t, clienttest.Options{})
	server := relay.Address()
	server.Fingerprint[5] ^= 1
	refuses(t, server, client.Options{}, client.StageTLS, identity.ErrUnknownCA)
	server.Fingerprint = server.Fingerprint[:31]
	refuses(t, server, client.Options{}, client.StageConnect, identity.ErrUnknownCA)
	refuses(t, relay.Address(), client.Options{ALPN: []string{"other"}}, client.StageTLS, nil)
	years := func() time.Time { return relay.Identity.Expires().AddDate(1, 0, 0) }
	refuses(t, relay.Address(), client.Options{Clock: years}, client.StageTLS, identity.ErrDates)
	onion := address.Server{Hosts: []address.Host{"abc.onion"}}
	if _, err := client.Dial(t.Context(), onion, client.Options{}); !errors.Is(err, client.ErrNoHost) {
		t.Errorf("onion: %v", err)
	}
}

// TestHello are relays whose hello is not right.
func TestHello(t *testing.T) {
	other := clienttest.Start(t, clienttest.Options{})
	session, _ := key.FromECDH(auth.NewX25519().ECDH().PublicKey())
	for _, tc := range []struct {
		name   string
		change func(*xftp.ServerHello)
		want   error
	}{
		{"session id", func(h *xftp.ServerHello) { h.SessionID = make([]byte, 32) }, client.ErrSession},
		{"session id cut", func(h *xftp.ServerHello) { h.SessionID = h.SessionID[:31] }, client.ErrSession},
		{"versions", func(h *xftp.ServerHello) { h.Versions = wire.VersionRange{Min: 4, Max: 5} }, client.ErrVersion},
		{"three certificates", func(h *xftp.ServerHello) { h.Chain = [][]byte{h.Chain[0], h.Chain[1], h.Chain[1]} }, client.ErrIdentity},
		{"one certificate", func(h *xftp.ServerHello) { h.Chain = h.Chain[1:] }, client.ErrIdentity},
		{"another identity", func(h *xftp.ServerHello) { h.Chain = other.Identity.Chain }, client.ErrIdentity},
		{"key signed by another", func(h *xftp.ServerHello) { h.SignedKey = other.Identity.SignSessionKey(session) }, client.ErrIdentity},
		{"no key", func(h *xftp.ServerHello) { h.SignedKey = nil }, client.ErrIdentity},
		{"changed key", func(h *xftp.ServerHello) { h.SignedKey[20] ^= 1 }, client.ErrIdentity},
	} {
		t.Run(tc.name, func(t *testing.T) {
			relay := clienttest.Start(t, clienttest.Options{Hello: tc.change})
			refuses(t, relay.Address(), client.Options{}, client.StageHello, tc.want)
		})
	}
}

// TestHandshakeAnswers are relays that answer something else than a hello, or than nothing.
func TestHandshakeAnswers(t *testing.T) {
	garbage := bytes.Repeat([]byte("HTTP/1.1 400 Bad Request\r\n"), 1000)
	for _, tc := range []struct {
		step, name string
		answer     []byte
		status     int
		want       error
	}{
		{"hello", "word", word(xftp.ErrSession), 200, client.ErrRefused},
		{"hello", "nothing", nil, 200, client.ErrMalformed},
		{"hello", "garbage", garbage, 200, client.ErrMalformed},
		{"hello", "garbage of a block", garbage[:xftp.BlockSize], 200, client.ErrMalformed},
		{"hello", "more than a block", append(word(xftp.ErrSession), 0), 200, client.ErrMalformed},
		{"hello", "not found", []byte("404 page not found"), 404, client.ErrMalformed},
		{"handshake", "word", word(xftp.ErrHandshake), 200, client.ErrRefused},
		{"handshake", "something", []byte("x"), 200, client.ErrMalformed},
		{"handshake", "status", nil, 204, client.ErrMalformed},
	} {
		t.Run(tc.step+" "+tc.name, func(t *testing.T) {
			relay := clienttest.Start(t, on(tc.step, func(w http.ResponseWriter, r *clienttest.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				w.WriteHeader(tc.status)
				_, _ = w.Write(tc.answer)
			}))
			refuses(t, relay.Address(), client.Options{}, client.StageHello, tc.want)
		})
	}
}

func TestWebRefuses(t *testing.T) {
	hello := func(change func(*xftp.ServerHello)) *clienttest.Relay {
		return clienttest.Start(t, clienttest.Options{Web: true, Hello: change})
	}
	relay := hello(nil)
	web := func(r *clienttest.Relay) client.Options {
		return client.Options{Web: &client.Web{ServerName: clienttest.WebName, Roots: r.Roots}}
	}
	refuses(t, relay.Address(), client.Options{Web: &client.Web{ServerName: "other.example", Roots: relay.Roots}}, client.StageTLS, nil)
	refuses(t, relay.Address(), client.Options{Web: &client.Web{ServerName: clienttest.WebName}}, client.StageTLS, nil)
	server := relay.Address()
	server.Fingerprint[0] ^= 1
	refuses(t, server, web(relay), client.StageHello, client.ErrIdentity)
	for name, change := range map[string]func(*xftp.ServerHello){
		"no proof":      func(h *xftp.ServerHello) { h.Proof = nil },
		"changed proof": func(h *xftp.ServerHello) { h.Proof[0] ^= 1 },
		"session id":    func(h *xftp.ServerHello) { h.SessionID = bytes.Repeat([]byte{1}, 32) },
		"changed key":   func(h *xftp.ServerHello) { h.SignedKey[20] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			relay := hello(change)
			refuses(t, relay.Address(), web(relay), client.StageHello, client.ErrIdentity)
		})
	}
}

// TestNoRelay is what answers at an address where there is no relay.
func TestNoRelay(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	server := clienttest.Start(t, clienttest.Options{}).Address()
	_, server.Port, _ = net.SplitHostPort(ln.Addr().String())
	go func() { // the first connection hears nothing, the second is closed
		first, err := ln.Accept()
		if err != nil {
			return
		}
		defer first.Close()
		if second, err := ln.Accept(); err == nil {
			_ = second.Close()
		}
		_, _ = io.Copy(io.Discard, first)
	}()
	refuses(t, server, client.Options{ConnectTimeout: 20 * time.Millisecond}, client.StageTLS, client.ErrTimeout)
	refuses(t, server, client.Options{}, client.StageTLS, nil)
	_ = ln.Close()
	refuses(t, server, client.Options{}, client.StageConnect, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Dial(ctx, server, client.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
