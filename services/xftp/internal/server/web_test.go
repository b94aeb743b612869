package server_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/identity"
	"sotto/shared/identity/identitytest"
	"sotto/shared/xftp"
)

// hello is a browser's first block.
func hello(t *testing.T) (block, challenge []byte) {
	t.Helper()
	challenge, _ = content(xftp.ChallengeSize)
	return pad(t, xftp.ClientHello{Challenge: challenge}.AppendTo(nil)), challenge
}

// Markers of a browser's handshake.
var (
	marksHello     = []string{xftp.HeaderHello, "1"}
	marksHandshake = []string{xftp.HeaderHandshake, "1"}
)

// browser connects as one, without a handshake of XFTP.
func browser(t *testing.T, r *xftptest.Relay) *peer {
	t.Helper()
	return dialPeer(t, r, connection{alpn: []string{xftp.ALPNHTTP2, xftp.ALPNHTTP1}, web: true})
}

// greet makes a browser's handshake.
func (p *peer) greet(t *testing.T) {
	t.Helper()
	block, _ := hello(t)
	p.parseHello(t, p.post(marksHello, block))
	if s := p.post(marksHandshake, p.clientHandshake(xftp.Versions.Max)); len(s.body) != 0 {
		t.Fatal("handshake refused")
	}
}

// parseHello takes the relay's hello out of an answer.
func (p *peer) parseHello(t *testing.T, s *stream) xftp.ServerHello {
	t.Helper()
	if len(s.body) != xftp.BlockSize {
		t.Fatalf("hello of %d bytes", len(s.body))
	}
	n := int(s.body[0])<<8 | int(s.body[1])
	h, err := xftp.ParseServerHello(s.body[2 : 2+n])
	if err != nil {
		t.Fatalf("no hello but %q", s.body[2:2+min(n, 20)])
	}
	if !bytes.Equal(h.SessionID, p.session.ID) {
		t.Fatal("hello of another session")
	}
	return h
}

// word checks that an answer is a bare error.
func word(t *testing.T, s *stream, want xftp.ErrorCode) {
	t.Helper()
	var block [xftp.BlockSize]byte
	xftp.PutWord(&block, want)
	if !bytes.Equal(s.body, block[:]) {
		t.Errorf("not the bare error %s", want)
	}
}

// headers checks that an answer has exactly these.
func headers(t *testing.T, s *stream, want http.Header) {
	t.Helper()
	if !maps.EqualFunc(s.header, want, slices.Equal) {
		t.Errorf("headers %v, want %v", s.header, want)
	}
}

// has reports whether an answer has a header of this name.
func (s *stream) has(name string) bool { return len(s.header[name]) > 0 }

var cors = http.Header{
	"access-control-allow-origin":   {"*"},
	"access-control-expose-headers": {"*"},
}

// Browsers. The numbers are those of the conformance checklist.
//
// Spec: xftp.md 18.2
func TestWeb(t *testing.T) {
	t.Run("18.2/16 the web certificate", webCertificate)
	t.Run("18.2/17 the identity, without SNI", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{Web: xftptest.RSA})
		c := r.Connect(t, client.Options{})
		if alpn := c.Conn().Session().ALPN; alpn != xftp.ALPN {
			t.Errorf("ALPN %q", alpn)
		}
		f := upload(t, c, size)
		must(t, f.get(t.Context(), c))
	})
	t.Run("18.2/18 CORS on all answers", corsEverywhere)
	t.Run("18.2/19 preflight", preflight)
	t.Run("18.2/20 no CORS without SNI", func(t *testing.T) {
		p := native(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
		headers(t, p.post(nil, p.head(auth.Key{}, nil, nil, xftp.PING{})), http.Header{})
		s := p.open(http.MethodOptions, nil, true)
		must(t, s.wait())
		headers(t, s, http.Header{})
		expect(t, p.response(s, nil), "ERR BLOCK")
	})
	t.Run("18.2/21 proof", proof)
	t.Run("18.2/22 the handshake needs no marker, and may choose version 1", func(t *testing.T) {
		p := browser(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
		block, _ := hello(t)
		p.parseHello(t, p.post(marksHello, block))
		s := p.post(nil, p.clientHandshake(xftp.Version1))
		if len(s.body) != 0 || s.status != "200" {
			t.Error("refused")
		}
		headers(t, s, cors)
		expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	})
	t.Run("18.2/23 a second hello", secondHello)
	t.Run("18.2/24 a command without a hello", func(t *testing.T) {
		p := browser(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
		s := p.post(nil, p.head(auth.Key{}, nil, nil, xftp.PING{}))
		word(t, s, xftp.ErrSession)
		headers(t, s, cors)
		word(t, p.post(marksHandshake, p.clientHandshake(xftp.Versions.Max)), xftp.ErrSession)
		p.greet(t)
		expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	})
	t.Run("18.2/25 browser and native client", browserAndNative)
}

func webCertificate(t *testing.T) {
	for _, kind := range []xftptest.KeyType{xftptest.RSA, xftptest.ECDSA, xftptest.Ed25519} {
		r := xftptest.Start(t, xftptest.Options{Web: kind})
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			raw, err := r.Dialer(t.Context(), "", "")
			must(t, err)
			conn := tls.Client(raw, &tls.Config{
				ServerName: xftptest.WebName, RootCAs: r.Web().Roots, NextProtos: []string{"h2", "http/1.1"},
				MinVersion: version, MaxVersion: version,
			})
			must(t, conn.Handshake())
			state := conn.ConnectionState()
			if state.NegotiatedProtocol != "h2" || !bytes.Equal(state.PeerCertificates[0].Raw, r.Web().TLS.Leaf.Raw) {
				t.Errorf("%s: %q", kind, state.NegotiatedProtocol)
			}
			if state.CurveID != tls.X25519 {
				t.Errorf("%s: group %v", kind, state.CurveID)
			}
			_ = conn.Close()
		}
	}
}

func corsEverywhere(t *testing.T) {
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "<html>"+r.URL.Path)
	})
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA, Config: func(c *server.Config) { c.Pages = pages }})
	p := browser(t, r)
	block, _ := hello(t)
	headers(t, p.post(nil, nil), cors)
	headers(t, p.post(marksHello, pad(t, []byte("x"))), cors)
	headers(t, p.post(marksHello, block), cors)
	headers(t, p.post(marksHandshake, p.clientHandshake(xftp.Versions.Max)), cors)
	headers(t, p.post(nil, p.head(auth.Key{}, nil, nil, xftp.PING{})), cors)
	headers(t, p.post(nil, make([]byte, 10)), cors)
	f := p.create(size)
	headers(t, p.post(nil, append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body...)), cors)
	page := p.open(http.MethodGet, nil, true)
	must(t, page.wait())
	if string(page.body) != "<html>/" || !page.has("content-type") {
		t.Errorf("page %q", page.body)
	}
	if !page.has("access-control-allow-origin") {
		t.Error("a page without CORS")
	}
	p.quiet()

	bare := browser(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
	missing := bare.open(http.MethodGet, nil, false)
	missing.send(make([]byte, 1000), true)
	must(t, missing.wait())
	if missing.status != "404" {
		t.Errorf("status %s", missing.status)
	}
	headers(t, missing, cors)
	bare.quiet()
}

func preflight(t *testing.T) {
	p := browser(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
	want := http.Header{
		"access-control-allow-origin":  {"*"},
		"access-control-allow-methods": {"POST, OPTIONS"},
		"access-control-allow-headers": {"*"},
		"access-control-max-age":       {"86400"},
	}
	for range 2 {
		s := p.open(http.MethodOptions, nil, true)
		must(t, s.wait())
		if s.status != "200" || len(s.body) > 0 {
			t.Errorf("status %s with %d bytes", s.status, len(s.body))
		}
		headers(t, s, want)
		p.greet(t) // the state is as it was: this would be a SESSION or HANDSHAKE otherwise
	}
	expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	p.quiet()
}

// proof checks what browsers check, with the relay's own identity and under an Ed448 authority.
//
// Spec: xftp.md 5.3
func proof(t *testing.T) {
	for name, id := range map[string]*identity.Identity{"Ed25519": nil, "Ed25519 under Ed448": underEd448(t)} {
		t.Run(name, func(t *testing.T) {
			r := xftptest.Start(t, xftptest.Options{Web: xftptest.RSA, Identity: id})
			p := browser(t, r)
			block, challenge := hello(t)
			s := p.post(marksHello, block)
			h := p.parseHello(t, s)
			if _, err := h.VerifyProof(r.Identity.Fingerprint(), challenge); err != nil {
				t.Errorf("proof: %v", err)
			}
			if len(h.Chain) != 2 {
				t.Errorf("%d certificates", len(h.Chain))
			}
			if s := p.post(marksHandshake, p.clientHandshake(3)); len(s.body) != 0 {
				t.Error("handshake is answered")
			}
			f := p.create(size)
			expect(t, p.put(f, f.body), "OK")
			// The same relay serves native clients.
			c := r.Connect(t, client.Options{})
			must(t, f.get(t.Context(), c))
		})
	}
}

// secondHello keeps the session id and the key, and what is under way.
//
// Spec: xftp.md 5.4
func secondHello(t *testing.T) {
	p := browser(t, xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA}))
	p.greet(t)
	block, challenge := hello(t)
	first := p.parseHello(t, p.post(marksHello, block))
	second := p.parseHello(t, p.post(marksHello, nil)) // takes effect without a challenge too
	if !bytes.Equal(first.SignedKey, second.SignedKey) || len(second.Proof) != 0 {
		t.Error("another key, or a proof that nobody asked for")
	}
	if _, err := first.VerifyProof(p.relay.Identity.Fingerprint(), challenge); err != nil {
		t.Error(err)
	}
	// Improvement 11 of 15.2: the other page of the browser goes on.
	expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	if s := p.post(marksHandshake, p.clientHandshake(2)); len(s.body) != 0 {
		t.Error("handshake is answered")
	}
	if s := p.post(marksHandshake, p.clientHandshake(3)); len(s.body) != 0 {
		t.Error("a repeated handshake is answered")
	}
	both := append(slices.Clone(marksHello), marksHandshake...)
	p.parseHello(t, p.post(both, block)) // the hello wins
	p.greet(t)
	expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	p.quiet()
}

func browserAndNative(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA})
	web := r.Connect(t, client.Options{Web: r.Browser()})
	app := r.Connect(t, client.Options{})
	must(t, web.Ping(t.Context()))
	f, g := upload(t, web, 256<<10), upload(t, app, 1<<20)
	for _, c := range []*client.Client{web, app} {
		must(t, f.get(t.Context(), c))
		must(t, g.get(t.Context(), c))
	}
	must(t, web.Delete(t.Context(), f.senderID, f.sender))
	refused(t, f.get(t.Context(), app), xftp.ErrAuth)
}

// The state table of handshakes, as far as the checklist does not go through it.
//
// Spec: xftp.md 5.4
func TestHandshakeStates(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA})
	t.Run("native hello with a body", func(t *testing.T) {
		p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
		block, _ := hello(t)
		word(t, p.post(nil, block), xftp.ErrHandshake)
		p.handshake(3)
		expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	})
	t.Run("native client with markers", func(t *testing.T) {
		p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
		p.parseHello(t, p.post(marksHandshake, nil))
		s := p.post(marksHello, p.clientHandshake(3))
		if len(s.body) != 0 {
			t.Error("a marker has an effect")
		}
		expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	})
	t.Run("refused handshakes can be repeated", func(t *testing.T) {
		p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
		p.post(nil, nil)
		good := p.clientHandshake(3)
		other := bytes.Clone(good)
		other[10]++
		for _, bad := range [][]byte{
			nil, good[:100], good[:len(good)-1], other, p.clientHandshake(4), p.clientHandshake(0),
			pad(t, []byte{0, 3}), p.head(auth.Key{}, nil, nil, xftp.PING{}),
		} {
			word(t, p.post(nil, bad), xftp.ErrHandshake)
		}
		if s := p.post(nil, good); len(s.body) != 0 {
			t.Error("refused")
		}
		expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
		p.quiet()
	})
	t.Run("malformed hellos of a browser", func(t *testing.T) {
		p := browser(t, r)
		for _, bad := range [][]byte{{1}, {0xff, 0xff, 1}, pad(t, nil), pad(t, []byte("2")), pad(t, append([]byte("1"), 3, 1, 2, 3))} {
			word(t, p.post(marksHello, bad), xftp.ErrHandshake)
		}
		p.parseHello(t, p.post(marksHello, []byte{0, 1, '0'})) // need not be a whole block
		p.greet(t)
	})
	t.Run("a handshake of the other kind in state accepted is a command", func(t *testing.T) {
		p := native(t, r)
		expect(t, p.response(p.post(marksHandshake, p.clientHandshake(3)), nil), "ERR BLOCK")
	})
}

// Who knows a name but is shown the identity, because there is no web certificate yet, is no browser. It may come later.
//
// Spec: xftp.md 3.2
func TestLateCertificate(t *testing.T) {
	var cert atomic.Pointer[tls.Certificate]
	r := xftptest.Start(t, xftptest.Options{Certificate: cert.Load})
	before := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}, web: true})
	before.handshake(3)
	headers(t, before.post(nil, before.head(auth.Key{}, nil, nil, xftp.PING{})), http.Header{})
	own := before.session.Chain[0]

	made := xftptest.NewCertificate(t, xftptest.ECDSA)
	cert.Store(&made.TLS)
	after := browser(t, r)
	if bytes.Equal(after.session.Chain[0], own) {
		t.Error("still the identity")
	}
	after.greet(t)
	headers(t, before.post(nil, before.head(auth.Key{}, nil, nil, xftp.PING{})), http.Header{})
}

// underEd448 is an identity with an Ed25519 leaf under the Ed448 authority of an older relay.
func underEd448(t *testing.T) *identity.Identity {
	t.Helper()
	dir := t.TempDir()
	identitytest.WriteEd448(t, dir, time.Now())
	id, err := identity.Renew(dir, "localhost", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(id.Chain[0])
	must(t, err)
	if leaf.PublicKeyAlgorithm != x509.Ed25519 {
		t.Fatal("no Ed25519 leaf")
	}
	return id
}
