package server_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

const alpn = transport.ALPN

// TestServerHello checks what the relay says first. Spec: smp.md 4.1, 3.5
func TestServerHello(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	for _, protocols := range [][]string{{alpn}, {"http/1.1"}, {"h2"}, {"unknown", alpn}} {
		g := r.Greet(t, protocols...)
		if g.Hello.Versions != (wire.VersionRange{Min: 6, Max: 18}) {
			t.Errorf("ALPN %q: versions %v", protocols, g.Hello.Versions)
		}
		if len(g.Hello.Chain) != 2 || !slices.EqualFunc(g.Hello.Chain, g.Session.Chain, slices.Equal) {
			t.Errorf("ALPN %q: the chain is not that of TLS", protocols)
		}
	}
	g := r.Greet(t)
	if g.Hello.Versions != (wire.VersionRange{Min: 6, Max: 6}) || g.Hello.Chain != nil || g.Hello.SignedKey != nil {
		t.Error("without ALPN more than version 6 is offered, or a key")
	}
	if one, other := sessionKey(t, r.Greet(t, alpn)), sessionKey(t, r.Greet(t, alpn)); one == other {
		t.Error("two connections have the same session key")
	}
}

// sessionKey verifies the key that the relay signed for the connection.
func sessionKey(t *testing.T, g *smptest.Greeted) key.Public {
	t.Helper()
	leaf, err := key.Parse(g.Session.TLS().PeerCertificates[0].RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	k, err := auth.VerifySignedKey(leaf, g.Hello.SignedKey)
	if err != nil || k.Algorithm() != key.X25519 {
		t.Fatalf("session key: %v", err)
	}
	return k
}

// TestClientHello checks which hellos the relay accepts, and whether it encrypts blocks then. Spec: smp.md 4.2, 5.4
func TestClientHello(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	type hello = smp.ClientHello
	set := func(v wire.Version, change func(*hello)) func(*smptest.Greeted) []byte {
		return func(g *smptest.Greeted) []byte {
			h := g.ClientHello(r, v)
			if change != nil {
				change(&h)
			}
			return h.AppendTo(nil)
		}
	}
	for _, c := range []struct {
		name      string
		version   wire.Version // 0: the connection is closed
		encrypted bool
		payload   func(*smptest.Greeted) []byte
	}{
		{"version 6", 6, false, set(6, nil)},
		{"version 7", 7, false, set(7, nil)},
		{"version 10", 10, false, set(10, nil)},
		{"version 11", 11, true, set(11, nil)},
		{"version 13", 13, true, set(13, nil)},
		{"version 14", 14, true, set(14, nil)},
		{"version 16", 16, true, set(16, nil)},
		{"version 18", 18, true, set(18, nil)},
		{"version 5", 0, false, set(5, nil)},
		{"version 19", 0, false, set(19, nil)},
		{"version 0", 0, false, set(0, nil)},
		{"version 65535", 0, false, set(65535, nil)},
		{"no key at 7", 7, false, set(7, func(h *hello) { h.Key = key.Public{} })},
		{"no key at 11", 11, false, set(11, func(h *hello) { h.Key = key.Public{} })},
		{"no key at 18", 18, false, set(18, func(h *hello) { h.Key = key.Public{} })},
		{"proxy at 14", 14, false, set(14, func(h *hello) { h.ProxyServer = true })},
		{"proxy at 18", 18, false, set(18, func(h *hello) { h.ProxyServer = true })},
		{"no key and proxy", 18, false, set(18, func(h *hello) { h.Key, h.ProxyServer = key.Public{}, true })},
		{"another fingerprint", 0, false, set(18, func(h *hello) { h.KeyHash = make([]byte, 32) })},
		{"a short fingerprint", 0, false, set(18, func(h *hello) { h.KeyHash = h.KeyHash[:31] })},
		{"no fingerprint", 0, false, set(18, func(h *hello) { h.KeyHash = nil })},
		{"nothing", 0, false, func(*smptest.Greeted) []byte { return nil }},
		{"noise", 0, false, func(*smptest.Greeted) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }},
		{"cut off", 0, false, func(g *smptest.Greeted) []byte {
			b := g.ClientHello(r, 18).AppendTo(nil)
			return b[:len(b)-1]
		}},
		{"more bytes at 6", 6, false, func(g *smptest.Greeted) []byte { return append(g.ClientHello(r, 6).AppendTo(nil), "more"...) }},
		{"more bytes at 18", 18, true, func(g *smptest.Greeted) []byte { return append(g.ClientHello(r, 18).AppendTo(nil), "more"...) }},
		{"an Ed25519 key is no key", 11, false, func(g *smptest.Greeted) []byte {
			h := g.ClientHello(r, 11)
			h.Key = auth.NewEd25519().Public()
			return h.AppendTo(nil)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := r.Greet(t, alpn)
			if err := g.Blocks.WriteHello(c.payload(g)); err != nil {
				t.Fatal(err)
			}
			if c.version == 0 {
				if _, err := g.TryRead(true); !errors.Is(err, io.EOF) {
					t.Fatalf("the connection was not closed without a word: %v", err)
				}
				return
			}
			if c.encrypted {
				g.Encrypt(t)
			}
			if got, err := g.Ask(c.version, "PING"); err != nil || got != "PONG" {
				t.Fatalf("PING: %q, %v", got, err)
			}
		})
	}
}

// TestLowOrderKey: a key that agrees on nothing is no reason to crash.
func TestLowOrderKey(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	g := r.Greet(t, alpn)
	h := g.ClientHello(r, 18)
	var err error
	if h.Key, err = key.New(key.X25519, make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	if err := g.Blocks.WriteHello(h.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := g.TryRead(false); err == nil {
		t.Fatal("a block arrived")
	}
	if g := r.Greet(t, alpn); g == nil {
		t.Fatal("the relay is gone")
	}
}

// TestWithoutALPN: a client that knows no ALPN cannot choose another version than 6.
func TestWithoutALPN(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	for _, v := range []wire.Version{6, 7, 18} {
		g := r.Greet(t)
		if err := g.Blocks.WriteHello(g.ClientHello(r, v).AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		got, err := g.Ask(v, "PING")
		if v == 6 && got != "PONG" || v > 6 && err == nil {
			t.Errorf("version %d: %q, %v", v, got, err)
		}
	}
	newer := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.Versions.Min = 7 }})
	conn, err := newer.TryDial(smptest.At(7))
	if err != nil {
		t.Fatalf("with ALPN: %v", err)
	}
	_ = conn.Close()
	o := smptest.At(6)
	o.ALPN = []string{}
	if _, err := newer.TryDial(o); err == nil {
		t.Error("a relay without version 6 accepted a client without ALPN")
	}
}

// TestServiceHello: services are not accepted, and told so. Spec: smp.md 4.5
func TestServiceHello(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	for _, v := range []wire.Version{16, 17, 18} {
		g := r.Greet(t, alpn)
		h := g.ClientHello(r, v)
		h.Service = &smp.ClientService{Role: smp.RoleNotifier, Chain: g.Hello.Chain, SignedKey: g.Hello.SignedKey}
		if err := g.Blocks.WriteHello(h.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		if got := string(g.Read(t, true)); got != "EHANDSHAKE BAD_AUTH" {
			t.Errorf("version %d: %q", v, got)
		}
		if _, err := g.TryRead(true); !errors.Is(err, io.EOF) {
			t.Errorf("version %d: the connection goes on: %v", v, err)
		}
	}
}

// TestHandshakeTimeouts: who says nothing is not waited for. Spec: smp.md 3.8, 4
func TestHandshakeTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := smptest.Start(t, smptest.Options{Pipes: true})
		closedAfter := func(read func() error, want time.Duration) {
			t.Helper()
			start := time.Now()
			if err := read(); err == nil {
				t.Fatal("something arrived")
			}
			if took := time.Since(start); took < want || took > want+10*time.Second {
				t.Errorf("closed after %v, want %v", took, want)
			}
		}
		silent := r.Raw(t)
		closedAfter(func() error { return readByte(silent) }, time.Minute)
		half := r.Raw(t)
		if _, err := half.Write([]byte{22, 3, 1}); err != nil {
			t.Fatal(err)
		}
		closedAfter(func() error { return readByte(half) }, time.Minute)
		g := r.Greet(t, alpn)
		closedAfter(func() error { _, err := g.TryRead(true); return err }, 2*time.Minute)
		g = r.Greet(t, alpn)
		if _, err := g.Session.Conn.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		closedAfter(func() error { _, err := g.TryRead(true); return err }, 2*time.Minute)
	})
}

func readByte(c net.Conn) error {
	_, err := c.Read(make([]byte, 1))
	return err
}

// TestStopDuringHandshake: connections that have not come to a hello do not hold up a relay that stops.
func TestStopDuringHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := smptest.Start(t, smptest.Options{Pipes: true})
		r.Raw(t)
		r.Greet(t, alpn)
		synctest.Wait()
		start := time.Now()
		r.Stop(t)
		if took := time.Since(start); took > 6*time.Second { // a farewell that nobody reads may take five
			t.Errorf("stopping took %v", took)
		}
	})
}
