package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"testing"

	"sotto/shared/identity/identitytest"
	"sotto/shared/key"
	"sotto/shared/tls13"
)

// TestMessageTLS has clients of crypto/tls: each gets the handshake that it can make, and blocks go both ways.
func TestMessageTLS(t *testing.T) {
	id := newIdentity(t)
	chain, leaf := identitytest.Service(t, key.Ed25519, 2, nil)
	service := []tls.Certificate{{Certificate: chain, PrivateKey: leaf}}
	for _, tc := range []struct {
		name   string
		client *tls.Config
		own    bool // by package tls13
		size   int  // of the session id
		shown  int  // certificates
	}{
		{"TLS 1.3", &tls.Config{}, true, 32, 0},
		{"with a name", &tls.Config{ServerName: "relay.example"}, true, 32, 0},
		{"service", &tls.Config{Certificates: service}, true, 32, 2},
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, false, 12, 0},
		{"service with TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12, Certificates: service}, false, 12, 0},
	} {
		for _, slow := range []bool{false, true} {
			for _, asks := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, slow=%v, asks=%v", tc.name, slow, asks), func(t *testing.T) {
					tc.client.InsecureSkipVerify, tc.client.NextProtos = true, []string{ALPN}
					clientRaw, serverRaw := tcpPair(t)
					if slow {
						clientRaw, serverRaw = slowReader{clientRaw}, slowReader{serverRaw}
					}
					c, s := runBoth(t, clientRaw, serverRaw, connectTLS(tc.client), NewMessageTLS(id, asks).Handshake)
					checkSessions(t, c, s, tc.size)
					want := 0
					if asks {
						want = tc.shown
					}
					if len(s.session.ClientChain) != want || s.session.SNI != (tc.client.ServerName != "") {
						t.Errorf("%d certificates, SNI %v", len(s.session.ClientChain), s.session.SNI)
					}
					if _, own := s.session.Conn.(*tls13.Conn); own != tc.own {
						t.Errorf("by package tls13: %v", own)
					}
					if s.session.TLS().Version != c.session.TLS().Version {
						t.Error("another version")
					}
					checkBlocks(t, c.session.Conn, s.session.Conn)
				})
			}
		}
	}
}

// checkBlocks sends a block both ways.
func checkBlocks(t *testing.T, client, server net.Conn) {
	t.Helper()
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		failed := make(chan error, 1)
		go func() { failed <- NewBlockConn(way[0]).WriteBlock([]byte("payload")) }()
		var room Block
		payload, err := NewBlockConn(way[1]).ReadBlock(&room)
		if err != nil || !bytes.Equal(payload, []byte("payload")) {
			t.Errorf("%q, %v", payload, err)
		}
		room.Release()
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}

// TestMessageTLSSecured is a connection that brings its session.
func TestMessageTLSSecured(t *testing.T) {
	raw, _ := net.Pipe()
	want := &Session{Conn: raw, ALPN: ALPN}
	got, err := NewMessageTLS(newIdentity(t), true).Handshake(t.Context(), brought{raw, want})
	if err != nil || got != want {
		t.Errorf("another session, or %v", err)
	}
}

// brought is a connection whose TLS has ended before.
type brought struct {
	net.Conn
	session *Session
}

func (b brought) Session(context.Context) (*Session, error) { return b.session, nil }
