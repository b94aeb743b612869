package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"sotto/shared/identity"
)

// TestSessionID checks that both ends derive the same session id, whatever the handshake looks like.
func TestSessionID(t *testing.T) {
	id := newIdentity(t)
	service := newIdentity(t).TLSCertificate()
	checked := 0
	for _, version := range []struct {
		name   string
		size   int
		suite  uint16
		client *tls.Config
	}{
		{"1.3 ChaCha20", 32, tls.TLS_CHACHA20_POLY1305_SHA256, &tls.Config{
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
		}},
		{"1.3 any", 32, 0, &tls.Config{MinVersion: tls.VersionTLS13}},
		{"1.2", 12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, &tls.Config{MaxVersion: tls.VersionTLS12}},
	} {
		for _, retry := range []bool{false, true} {
			for _, slow := range []bool{false, true} {
				for _, certificate := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s retry=%v slow=%v certificate=%v", version.name, retry, slow, certificate), func(t *testing.T) {
						server, client := ServerConfig(id), version.client.Clone()
						client.InsecureSkipVerify = true
						client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
						if retry { // crypto/tls clients send a share for X25519 first
							server.CurvePreferences = []tls.CurveID{tls.CurveP256}
						}
						if certificate {
							server.ClientAuth = tls.RequireAnyClientCert
							client.Certificates = []tls.Certificate{service}
						}
						clientRaw, serverRaw := tcpPair(t)
						if slow {
							clientRaw, serverRaw = slowReader{clientRaw}, slowReader{serverRaw}
						}
						c, s := runBoth(t, clientRaw, serverRaw, connectTLS(client), serve(server))
						checkSessions(t, c, s, version.size)
						state := s.session.TLS()
						if version.suite != 0 && state.CipherSuite != version.suite {
							t.Errorf("suite %s", tls.CipherSuiteName(state.CipherSuite))
						}
						if version.size != 12 && state.HelloRetryRequest != retry {
							t.Errorf("retry %v", state.HelloRetryRequest)
						}
						if certificate != (len(state.PeerCertificates) == 2) {
							t.Errorf("%d client certificates", len(state.PeerCertificates))
						}
						checkTalk(t, c.session.Conn.(*tls.Conn), s.session.Conn.(*tls.Conn))
						checked++
					})
				}
			}
		}
	}
	t.Logf("checked %d cases", checked)
}

// checkSessions fails the test unless both sides ended with the same session id of this size.
func checkSessions(t *testing.T, c, s outcome, size int) {
	t.Helper()
	if c.err != nil || s.err != nil {
		t.Fatalf("client: %v, server: %v", c.err, s.err)
	}
	if !bytes.Equal(c.session.ID, s.session.ID) || len(s.session.ID) != size {
		t.Fatalf("session ids %x and %x", c.session.ID, s.session.ID)
	}
	if c.session.ALPN != s.session.ALPN {
		t.Errorf("ALPN %q and %q", c.session.ALPN, s.session.ALPN)
	}
}

// checkTalk sends something both ways, after which nothing may be kept of it.
func checkTalk(t *testing.T, client, server *tls.Conn) {
	t.Helper()
	message := bytes.Repeat([]byte("block"), 4000)
	for _, way := range [][2]*tls.Conn{{client, server}, {server, client}} {
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
	for _, conn := range []*tls.Conn{client, server} {
		if b := conn.NetConn().(*binding); b.kept != nil {
			t.Error("still keeps what passes through")
		}
	}
}

// TestProfile is a client of this package with the relay's profile: the parameters of apps as far as crypto/tls has
// them.
func TestProfile(t *testing.T) {
	for name, id := range map[string]*identity.Identity{"Ed25519": newIdentity(t), "Ed448 authority": newUnderEd448(t)} {
		for engine, relay := range engines(id) {
			t.Run(name+", "+engine, func(t *testing.T) {
				c, s := handshakes(t, connect(ClientConfig{Fingerprint: id.Fingerprint(), ALPN: []string{ALPN}}), relay)
				checkSessions(t, c, s, 32)
				state := c.session.TLS()
				if state.CipherSuite != tls.TLS_CHACHA20_POLY1305_SHA256 || state.CurveID != tls.X25519 {
					t.Errorf("suite %s, curve %v", tls.CipherSuiteName(state.CipherSuite), state.CurveID)
				}
				if c.session.ALPN != "smp/1" || s.session.SNI || c.session.SNI {
					t.Errorf("ALPN %q, SNI %v", c.session.ALPN, s.session.SNI)
				}
				if len(c.session.Chain) != 2 || !bytes.Equal(c.session.Chain[1], id.Chain[1]) || s.session.Chain != nil || s.session.ClientChain != nil {
					t.Error("wrong chain")
				}
			})
		}
	}
}

// TestNoTickets checks that nothing follows the relay's part of the handshake.
func TestNoTickets(t *testing.T) {
	id := newIdentity(t)
	for engine, relay := range engines(id) {
		cache := tls.NewLRUClientSessionCache(1)
		cfg := clientConfig([]string{ALPN})
		cfg.ClientSessionCache = cache
		cfg.ServerName = "relay.example"
		c, s := handshakes(t, connectTLS(cfg), relay)
		checkSessions(t, c, s, 32)
		s.session.Conn.Close()
		if n, err := c.session.Conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: read %d, %v", engine, n, err)
		}
		if _, ok := cache.Get("relay.example"); ok {
			t.Errorf("%s: the client got a ticket", engine)
		}
	}
}

func TestALPN(t *testing.T) {
	id := newIdentity(t)
	for _, c := range []struct {
		name  string
		offer []string
		want  string
		alert bool
	}{
		{"none", nil, "", false},
		{"app", []string{"smp/1"}, "smp/1", false},
		{"app in web port mode", []string{"http/1.1"}, "http/1.1", false},
		{"h2", []string{"h2"}, "h2", false},
		{"several", []string{"other", "smp/1"}, "smp/1", false},
		{"no overlap", []string{"xftp/1"}, "", true},
	} {
		for engine, relay := range engines(id) {
			t.Run(c.name+", "+engine, func(t *testing.T) {
				client, server := handshakes(t, connect(ClientConfig{Fingerprint: id.Fingerprint(), ALPN: c.offer}), relay)
				if c.alert {
					if client.err == nil || server.err == nil || Safe(client.err) != "alert from peer: tls: no application protocol" {
						t.Errorf("client: %v, server: %v", client.err, server.err)
					}
					return
				}
				checkSessions(t, client, server, 32)
				if server.session.ALPN != c.want {
					t.Errorf("negotiated %q", server.session.ALPN)
				}
			})
		}
	}
}

// TestWithWeb checks that SNI alone decides which certificate a shared port presents.
func TestWithWeb(t *testing.T) {
	relay, web := newIdentity(t), newIdentity(t)
	webConfig := &tls.Config{
		NextProtos: []string{"h2", "http/1.1"}, Certificates: []tls.Certificate{web.TLSCertificate()},
	}
	shared := WithWeb(ServerConfig(relay), webConfig)
	for _, c := range []struct {
		name string
		sni  string
		alpn []string
		want *identity.Identity
		size int
	}{
		{"app", "", []string{"http/1.1"}, relay, 32},
		{"app on its own port", "", []string{"smp/1"}, relay, 32},
		{"old app", "", nil, relay, 32},
		{"browser", "relay.example", []string{"h2", "http/1.1"}, web, 32},
		{"another name", "example.org", nil, web, 32},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := handshakes(t,
				connect(ClientConfig{Fingerprint: c.want.Fingerprint(), ALPN: c.alpn, ServerName: c.sni}), serve(shared))
			checkSessions(t, client, server, c.size)
			if server.session.SNI != (c.sni != "") {
				t.Errorf("SNI %v", server.session.SNI)
			}
		})
	}
	if webConfig.KeyLogWriter != nil || shared.KeyLogWriter != nil {
		t.Error("a shared configuration has a key log")
	}
}

func TestGetConfigForClientFails(t *testing.T) {
	cfg := ServerConfig(newIdentity(t))
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }
	if _, s := handshakes(t, connect(ClientConfig{}), serve(cfg)); s.err == nil {
		t.Error("handshake went through")
	}
}

// TestClientRefuses are relays that are not the one of the address.
func TestClientRefuses(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	leafOnly := ServerConfig(id)
	leafOnly.Certificates[0].Certificate = id.Chain[:1]
	for _, c := range []struct {
		name   string
		cfg    ClientConfig
		server *tls.Config
		want   error
	}{
		{"another relay", ClientConfig{Fingerprint: other.Fingerprint()}, ServerConfig(id), identity.ErrUnknownCA},
		{"leaf alone", ClientConfig{Fingerprint: id.Fingerprint()}, leafOnly, identity.ErrChainLength},
		{"clock", ClientConfig{
			Fingerprint: id.Fingerprint(), Now: func() time.Time { return id.Expires().AddDate(1, 0, 0) },
		}, ServerConfig(id), identity.ErrDates},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, server := handshakes(t, connect(c.cfg), serve(c.server))
			if !errors.Is(client.err, c.want) || client.session != nil {
				t.Errorf("client: %v, want %v", client.err, c.want)
			}
			if server.session != nil { // under TLS 1.3 the client's alert comes after the relay's part, or instead of Finished
				t.Error("the relay has a session")
			}
		})
	}
}

func TestSessionPrintsNothing(t *testing.T) {
	s := &Session{ID: []byte("0123"), ALPN: ALPN}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, s); got != "[session]" {
			t.Errorf("%s: %s", format, got)
		}
	}
	if text, err := s.MarshalText(); err != nil || string(text) != "[session]" {
		t.Errorf("%s %v", text, err)
	}
}
