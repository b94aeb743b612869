package frontdoor_test

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
	"sotto/shared/tls13"
)

// TestServices are services on the shared port, whoever makes their handshake: the message relay gets to know their
// certificates.
//
// Spec: smp.md 3.7
func TestServices(t *testing.T) {
	h := new(house).open(t)
	h.says(t, sameIdentity)
	for _, a := range []key.Algorithm{key.Ed25519, key.Ed448} {
		for _, alpn := range [][]string{{"smp/1"}, {"http/1.1"}, nil} {
			t.Run(fmt.Sprintf("%v, ALPN %q", a, alpn), func(t *testing.T) {
				chain, leaf := identitytest.Service(t, a, 2, nil)
				raw, err := net.Dial("tcp", h.at)
				must(t, err)
				conn, err := tls13.Client(t.Context(), raw, &tls13.Config{
					VerifyChain: func([][]byte) error { return nil }, ALPN: alpn, Certificate: &tls13.Certificate{Chain: chain, Key: leaf},
				})
				must(t, err)
				defer conn.Close()
				must(t, conn.SetDeadline(time.Now().Add(patience)))
				expect(t, conn, "messages")
				session := <-h.messages
				if !slices.EqualFunc(session.ClientChain, chain, bytes.Equal) || !bytes.Equal(session.ID, conn.State().ClientFinished) {
					t.Errorf("%d certificates, or another session", len(session.ClientChain))
				}
			})
		}
	}
}
