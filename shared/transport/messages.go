package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"sotto/shared/clienthello"
	"sotto/shared/identity"
	"sotto/shared/tls13"
)

// MessageTLS is the TLS profile of a relay for messages. It is safe for concurrent use.
//
// Clients of TLS 1.3 that offer what package tls13 has, as apps and relays do, get their handshake from it: it has the
// session id at hand, can ask for client certificates with Ed448 too, and holds no buffer for a connection that is
// idle. The others, of TLS 1.2 most of all, get it from crypto/tls, and are not asked for certificates.
//
// Spec: smp.md 3.1
// Spec: smp.md 3.7
type MessageTLS struct {
	modern *tls13.ServerConfig
	others *tls.Config
}

// NewMessageTLS returns the profile of a relay that presents id. certificates tells whether it asks clients for theirs,
// as services have.
//
// Spec: smp.md 3.7
func NewMessageTLS(id *identity.Identity, certificates bool) *MessageTLS {
	m := &MessageTLS{
		modern: &tls13.ServerConfig{
			Certificate: &tls13.Certificate{Chain: id.Chain, Key: id.LeafKey()},
			ALPN:        []string{ALPN, ALPNHTTP2, ALPNHTTP1},
		},
		others: ServerConfig(id),
	}
	if certificates {
		m.modern.VerifyClient = func(chain [][]byte) error {
			_, err := identity.VerifyClientChain(chain, time.Now())
			return err
		}
	}
	return m
}

// Handshake is [ServerHandshake] with this profile.
//
// Spec: smp.md 3.4
func (m *MessageTLS) Handshake(ctx context.Context, raw net.Conn) (*Session, error) {
	return establish(ctx, raw, m.shake)
}

// shake looks at the ClientHello and lets one of the two packages make the handshake, which reads it again.
func (m *MessageTLS) shake(ctx context.Context, raw net.Conn) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	hello, replayed, err := peek(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	if hello == nil || !tls13.Supports(hello) {
		return tlsHandshake(ctx, replayed, m.others)
	}
	conn, err := tls13.Server(ctx, replayed, m.modern)
	if err != nil {
		return nil, err
	}
	state := conn.State()
	return &Session{
		Conn: conn, ID: state.ClientFinished, ALPN: state.ALPN, SNI: state.ServerName != "", ClientChain: state.PeerChain,
	}, nil
}

// peek reads the ClientHello that raw begins with, until ctx ends. What is none, or too long, is nil, and for
// crypto/tls to say something about.
func peek(ctx context.Context, raw net.Conn) (*clienthello.Hello, *Replay, error) {
	proceed := context.AfterFunc(ctx, func() { raw.SetReadDeadline(time.Unix(1, 0)) })
	hello, head, err := clienthello.Read(raw)
	if !proceed() {
		return nil, nil, ctx.Err()
	}
	for _, theirs := range []error{clienthello.ErrNotTLS, clienthello.ErrMalformed, clienthello.ErrTooLong} {
		if errors.Is(err, theirs) {
			hello, err = nil, nil
		}
	}
	if err == io.EOF && len(head) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return hello, NewReplay(raw, head), err
}
