package server_test

import (
	"bytes"
	"crypto"
	"errors"
	"io"
	"testing"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/tls13"
	"sotto/shared/transport"
)

// service is a client with a certificate of its own.
type service struct {
	chain [][]byte
	leaf  crypto.Signer
}

func newService(t *testing.T, a key.Algorithm, length int) service {
	chain, leaf := identitytest.Service(t, a, length, nil)
	return service{chain, leaf}
}

// greet connects as far as the relay's hello, and shows the certificate in TLS.
func (s service) greet(t *testing.T, r *smptest.Relay) *smptest.Greeted {
	t.Helper()
	conn, err := tls13.Client(t.Context(), r.Raw(t), &tls13.Config{
		VerifyChain: func([][]byte) error { return nil }, ALPN: []string{alpn},
		Certificate: &tls13.Certificate{Chain: s.chain, Key: s.leaf},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	g := &smptest.Greeted{
		Session: &transport.Session{Conn: conn, ID: conn.State().ClientFinished}, Blocks: transport.NewBlockConn(conn),
	}
	if g.Hello, err = smp.ParseServerHello(g.Read(t, true)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(g.Hello.SessionID, conn.State().ClientFinished) {
		t.Fatal("the session id of the hello is not that of TLS")
	}
	return g
}

// hello returns the client hello of this service, without a key, so that blocks stay plain.
func (s service) hello(g *smptest.Greeted, r *smptest.Relay) *smp.ClientHello {
	fingerprint := r.Identity.Fingerprint()
	return &smp.ClientHello{Version: smp.MaxVersion, KeyHash: fingerprint[:], Service: &smp.ClientService{
		Role: smp.RoleNotifier, Chain: s.chain, SignedKey: auth.SignKey(s.leaf, auth.NewEd25519().Public()),
	}}
}

// answer sends a hello and returns what the relay says to the service in it.
func answer(t *testing.T, g *smptest.Greeted, hello *smp.ClientHello) smp.ServiceResponse {
	t.Helper()
	if err := g.Blocks.WriteHello(hello.AppendTo(nil)); err != nil {
		t.Fatal(err)
	}
	response, err := smp.ParseServiceResponse(g.Read(t, true))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// TestServicesOverTLS connects services of both algorithms: their certificate is proven in TLS, and known by the hello.
//
// Spec: smp.md 3.7
// Spec: smp.md 4.5
func TestServicesOverTLS(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		for _, length := range []int{1, 2} {
			s := newService(t, a, length)
			var ids [2][]byte
			for i := range ids {
				g := s.greet(t, r)
				response := answer(t, g, s.hello(g, r))
				if ids[i] = bytes.Clone(response.ServiceID); response.Err != "" || len(ids[i]) != 24 {
					t.Fatalf("%v, %d certificates: %q", a, length, response.Err)
				}
				if got, err := g.Ask(smp.MaxVersion, "PING"); err != nil || got != "PONG" {
					t.Errorf("%v, %d certificates: PING: %q, %v", a, length, got, err)
				}
			}
			if !bytes.Equal(ids[0], ids[1]) {
				t.Errorf("%v, %d certificates: another id the second time", a, length)
			}
			// With a certificate, but not as a service.
			g := s.greet(t, r)
			hello := s.hello(g, r)
			hello.Service = nil
			if err := g.Blocks.WriteHello(hello.AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
			if got, err := g.Ask(smp.MaxVersion, "PING"); err != nil || got != "PONG" {
				t.Errorf("%v, %d certificates, an ordinary client: PING: %q, %v", a, length, got, err)
			}
		}
	}
}

// TestServicesOverTLSRefused are services whose certificate is not the one of TLS.
//
// Spec: smp.md 4.5
func TestServicesOverTLSRefused(t *testing.T) {
	asking := smptest.Start(t, smptest.Options{})
	silent := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.ServiceCertificates = false }})
	own, other := newService(t, key.Ed448, 2), newService(t, key.Ed448, 2)
	for _, tc := range []struct {
		name  string
		relay *smptest.Relay
		hello func(*smptest.Greeted, *smptest.Relay) *smp.ClientHello
	}{
		{"another service's", asking, other.hello},
		{"a part of it", asking, service{own.chain[:1], own.leaf}.hello},
		{"not asked for in TLS", silent, own.hello},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := own.greet(t, tc.relay)
			if response := answer(t, g, tc.hello(g, tc.relay)); response.Err != smp.HandshakeBadAuth {
				t.Errorf("%q", response.Err)
			}
			if _, err := g.TryRead(true); !errors.Is(err, io.EOF) {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
