package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// dialFails dials and checks that it fails at this stage for this reason.
func dialFails(t *testing.T, server smp.Server, options Options, stage Stage, reason error) {
	t.Helper()
	c, err := Dial(testContext(t), server, options)
	if err == nil {
		_ = c.Close()
		t.Fatal("dial succeeded")
	}
	var dial *DialError
	if !errors.As(err, &dial) || dial.Stage != stage || !errors.Is(err, reason) {
		t.Fatalf("got %v (%#v), want stage %v, reason %v", err, errors.Unwrap(err), stage, reason)
	}
	if strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("text %q names an address", err)
	}
}

func TestWrongFingerprint(t *testing.T) {
	f := (&fake{}).start(t)
	server := f.server()
	server.Fingerprint[5] ^= 1
	dialFails(t, server, Options{}, StageTLS, identity.ErrUnknownCA)
	server.Fingerprint = server.Fingerprint[:31]
	dialFails(t, server, Options{}, StageConnect, identity.ErrUnknownCA)
}

func TestCertificateDates(t *testing.T) {
	f := (&fake{}).start(t)
	early := func() time.Time { return time.Unix(0, 0) }
	dialFails(t, f.server(), Options{Clock: early}, StageTLS, identity.ErrDates)
}

func TestConnectRefused(t *testing.T) {
	f := (&fake{}).start(t)
	_ = f.ln.Close()
	dialFails(t, f.server(), Options{}, StageConnect, syscall.ECONNREFUSED)
}

func TestHelloRefused(t *testing.T) {
	x25519, ed25519 := auth.NewX25519().Public(), auth.NewEd25519().Public()
	sign := func(k key.Public) []byte { return testIdentity().SignSessionKey(k) }
	cases := []struct {
		name   string
		change func(*smp.ServerHello)
		want   error
	}{
		{"session id", func(h *smp.ServerHello) { h.SessionID[3] ^= 1 }, ErrSession},
		{"session id cut", func(h *smp.ServerHello) { h.SessionID = h.SessionID[:31] }, ErrSession},
		{"session id empty", func(h *smp.ServerHello) { h.SessionID = nil }, ErrSession},
		{"too new", func(h *smp.ServerHello) { h.Versions = wire.VersionRange{Min: 19, Max: 30} }, ErrVersion},
		{"too old", func(h *smp.ServerHello) { h.Versions = wire.VersionRange{Min: 1, Max: 5} }, ErrVersion},
		{"range upside down", func(h *smp.ServerHello) { h.Versions = wire.VersionRange{Min: 18, Max: 6} }, ErrMalformed},
		{"no chain", func(h *smp.ServerHello) { h.Chain = nil }, ErrMalformed},
		{"leaf only", func(h *smp.ServerHello) { h.Chain = h.Chain[:1] }, ErrIdentity},
		{"chain too long", func(h *smp.ServerHello) {
			ca := h.Chain[1]
			h.Chain = [][]byte{h.Chain[0], ca, ca, ca, ca}
		}, ErrIdentity},
		{"chain upside down", func(h *smp.ServerHello) { h.Chain = [][]byte{h.Chain[1], h.Chain[0]} }, ErrIdentity},
		{"no key", func(h *smp.ServerHello) { h.SignedKey = nil }, ErrIdentity},
		{"wrong signature", func(h *smp.ServerHello) { h.SignedKey[len(h.SignedKey)-1] ^= 1 }, ErrIdentity},
		{"other signer", func(h *smp.ServerHello) { h.SignedKey = newTestIdentity().SignSessionKey(x25519) }, ErrIdentity},
		{"key of another kind", func(h *smp.ServerHello) { h.SignedKey = sign(ed25519) }, ErrIdentity},
		{"useless key", func(h *smp.ServerHello) {
			zero, _ := key.New(key.X25519, make([]byte, 32))
			h.SignedKey = sign(zero)
		}, ErrIdentity},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := (&fake{change: func(h *smp.ServerHello) {
				h.SessionID = append(wire.EntityID(nil), h.SessionID...)
				h.SignedKey = append([]byte(nil), h.SignedKey...)
				tc.change(h)
			}}).start(t)
			dialFails(t, f.server(), Options{}, StageHello, tc.want)
		})
	}
	t.Logf("checked %d cases", len(cases))
}

func TestHelloMalformed(t *testing.T) {
	block := func(first ...byte) []byte { return append(first, make([]byte, wire.BlockSize-len(first))...) }
	cases := []struct {
		name string
		sent []byte
		want error
	}{
		{"length beyond the block", block(0xff, 0xff), ErrMalformed},
		{"empty", block(0, 0), ErrMalformed},
		{"text", []byte(strings.Repeat("HTTP/1.1 400 Bad Request\r\n", 700))[:wire.BlockSize], ErrMalformed},
		{"half a block", block()[:wire.BlockSize/2], io.ErrUnexpectedEOF},
		{"nothing", nil, io.EOF},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := (&fake{takeOver: func(s *transport.Session) bool {
				_, _ = s.Conn.Write(tc.sent)
				_ = s.CloseWrite()
				_, _ = io.Copy(io.Discard, s.Conn)
				return false
			}}).start(t)
			dialFails(t, f.server(), Options{}, StageHello, tc.want)
		})
	}
}

func TestDialContext(t *testing.T) {
	t.Run("silent after TCP", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		f := &fake{ln: ln}
		ctx, cancel := context.WithCancel(testContext(t))
		_, err = Dial(ctx, f.server(), Options{OnStage: func(Stage) { cancel() }})
		var dial *DialError
		if !errors.As(err, &dial) || dial.Stage != StageTLS || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("silent after TLS", func(t *testing.T) {
		f := (&fake{takeOver: func(s *transport.Session) bool {
			_, _ = io.Copy(io.Discard, s.Conn)
			return false
		}}).start(t)
		ctx, cancel := context.WithCancel(testContext(t))
		_, err := Dial(ctx, f.server(), Options{OnStage: func(s Stage) {
			if s == StageTLS {
				cancel()
			}
		}})
		var dial *DialError
		if !errors.As(err, &dial) || dial.Stage != StageHello || !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v", err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		f := (&fake{takeOver: func(s *transport.Session) bool {
			_, _ = io.Copy(io.Discard, s.Conn)
			return false
		}}).start(t)
		ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
		defer cancel()
		if _, err := Dial(ctx, f.server(), Options{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestContextOfDialEndsLater(t *testing.T) {
	f := (&fake{script: pong}).start(t)
	ctx, cancel := context.WithCancel(context.Background())
	c, err := Dial(ctx, f.server(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	for range 3 {
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatalf("the dialling context ended the connection: %v", err)
		}
	}
}

func TestAgree(t *testing.T) {
	all := wire.VersionRange{Min: 6, Max: 18}
	cases := []struct {
		own, relay wire.VersionRange
		proxy      bool
		want       wire.Version
	}{
		{all, all, false, 18},
		{all, all, true, 18},
		{all, wire.VersionRange{Min: 6, Max: 6}, false, 6},
		{all, wire.VersionRange{Min: 4, Max: 12}, false, 12},
		{all, wire.VersionRange{Min: 4, Max: 12}, true, 10},
		{all, wire.VersionRange{Min: 6, Max: 14}, true, 14},
		{all, wire.VersionRange{Min: 11, Max: 12}, true, 0},
		{wire.VersionRange{Min: 8, Max: 11}, all, false, 11},
		{all, wire.VersionRange{Min: 19, Max: 19}, false, 0},
	}
	for _, tc := range cases {
		got, err := agree(tc.own, tc.relay, tc.proxy)
		if got != tc.want || (err != nil) != (tc.want == 0) {
			t.Errorf("own %v, relay %v, proxy %v: got %d, %v", tc.own, tc.relay, tc.proxy, got, err)
		}
	}
}

func TestClientHello(t *testing.T) {
	cases := []struct {
		options   Options
		version   wire.Version
		hasKey    bool
		proxy     bool
		encrypted bool
	}{
		{Options{}, 18, true, false, true},
		{Options{NoKey: true}, 18, false, false, false},
		{Options{ProxyServer: true}, 18, true, true, false},
		{Options{ALPN: []string{}}, 6, false, false, false},
		{Options{ALPN: []string{"http/1.1"}}, 18, true, false, true},
		{only(6), 6, false, false, false},
		{only(7), 7, true, false, false},
		{only(10), 10, true, false, false},
		{only(11), 11, true, false, true},
		{only(14), 14, true, false, true},
		// A version without the flag: the relay does not know that this is a proxy, and encrypts.
		{Options{ProxyServer: true, Versions: wire.VersionRange{Min: 11, Max: 13}}, 13, true, false, true},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprintf("%d/nokey=%v/proxy=%v", tc.version, tc.options.NoKey, tc.proxy), func(t *testing.T) {
			hellos := make(chan smp.ClientHello, 1)
			f := (&fake{script: func(p *peer) {
				hellos <- p.hello
				pong(p)
			}}).start(t)
			c := f.dial(t, tc.options)
			h := <-hellos
			if h.Version != tc.version || c.Version() != tc.version || h.Key.IsZero() == tc.hasKey || h.ProxyServer != tc.proxy {
				t.Errorf("hello has version %d, key %v, proxy %v", h.Version, !h.Key.IsZero(), h.ProxyServer)
			}
			if c.Conn().Encrypted() != tc.encrypted {
				t.Errorf("encrypted: %v", c.Conn().Encrypted())
			}
			if _, err := c.Conn().SharedSecret(); (err == nil) != tc.hasKey {
				t.Errorf("shared secret: %v", err)
			}
			for range 3 { // the chains advance alike
				if err := c.Ping(testContext(t)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// only restricts the client to one version.
func only(v wire.Version) Options { return Options{Versions: wire.VersionRange{Min: v, Max: v}} }

func TestAddress(t *testing.T) {
	onion := smp.Host(strings.Repeat("a", 56) + ".onion")
	cases := []struct {
		hosts []smp.Host
		port  string
		want  string
	}{
		{[]smp.Host{"smp.example.org"}, "", "smp.example.org:5223"},
		{[]smp.Host{onion, "smp.example.org"}, "443", "smp.example.org:443"},
		{[]smp.Host{"::1"}, "", "[::1]:5223"},
		{[]smp.Host{"192.0.2.1", "smp.example.org"}, "1", "192.0.2.1:1"},
		{[]smp.Host{onion}, "", ""},
		{nil, "", ""},
	}
	for _, tc := range cases {
		got, err := Address(smp.Server{Hosts: tc.hosts, Port: tc.port})
		if got != tc.want || (tc.want == "" && !errors.Is(err, ErrNoHost)) {
			t.Errorf("got %q, %v, want %q", got, err, tc.want)
		}
	}
}

func TestDialer(t *testing.T) {
	f := (&fake{script: pong}).start(t)
	server := f.server()
	server.Hosts = []smp.Host{"relay.invalid"}
	var stages []Stage
	c, err := Dial(testContext(t), server, Options{
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network != "tcp" || address != "relay.invalid:"+server.Port {
				t.Errorf("dialled %s %s", network, address)
			}
			return new(net.Dialer).DialContext(ctx, network, f.ln.Addr().String())
		},
		OnStage: func(s Stage) { stages = append(stages, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if fmt.Sprint(stages) != "[connect TLS hello]" {
		t.Errorf("stages %v", stages)
	}
	if err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}
