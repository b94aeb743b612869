package server

import (
	"crypto/ecdh"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sotto/shared/key"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Bounds that tests go up to.
const (
	MaxUnsent  = maxUnsent
	MaxStreams = maxStreams
	FirstAhead = firstAhead
	NextAhead  = nextAhead
	LeastAhead = leastAhead
	PieceSize  = pieceSize
	DrainSlack = drainSlack
)

// CountVerifications counts the verifications of authorizations from now on. It is called before Serve.
func (s *Server) CountVerifications() *atomic.Int64 {
	n, verify := new(atomic.Int64), s.verify
	s.verify = func(k key.Public, session *ecdh.PrivateKey, corrID, authorization, message []byte) bool {
		n.Add(1)
		return verify(k, session, corrID, authorization, message)
	}
	return n
}

// BreakVerification makes the verification of a command with this correlation id panic. It is called before Serve.
func (s *Server) BreakVerification(corrID string) {
	verify := s.verify
	s.verify = func(k key.Public, session *ecdh.PrivateKey, id, authorization, message []byte) bool {
		if string(id) == corrID {
			panic("verification")
		}
		return verify(k, session, id, authorization, message)
	}
}

// SetRandom replaces the source of ids, keys and nonces. It is called before Serve.
func (s *Server) SetRandom(random func([]byte)) { s.random = random }

// Ahead is how many bytes of bodies were read ahead of the handlers, on all connections.
func (s *Server) Ahead() int64 { return s.budget.ahead.Load() }

// Handler is a connection without a network under it, for requests that are put together by hand.
func (s *Server) Handler(sessionID []byte, alpn string, web bool) http.Handler {
	end, _ := net.Pipe()
	return newConn(s, end, &transport.Session{ID: sessionID, ALPN: alpn}, web)
}

// Accept makes the handshake of a [Server.Handler].
func Accept(h http.Handler, session *ecdh.PrivateKey, v wire.Version) {
	c := h.(*conn)
	c.handshake.phase, c.handshake.session, c.handshake.version = accepted, session, v
}

// Gate is the gate of a connection.
type Gate = gate

// NewGate returns a gate on r, and what it has read ahead.
func NewGate(r io.Reader, limit int64) (g *Gate, ahead func() int) {
	g = newGate(readConn{r}, newBudget(limit))
	return g, func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.ahead
	}
}

type readConn struct{ io.Reader }

func (readConn) Write(p []byte) (int, error)      { return len(p), nil }
func (readConn) Close() error                     { return nil }
func (readConn) LocalAddr() net.Addr              { return nil }
func (readConn) RemoteAddr() net.Addr             { return nil }
func (readConn) SetDeadline(time.Time) error      { return nil }
func (readConn) SetReadDeadline(time.Time) error  { return nil }
func (readConn) SetWriteDeadline(time.Time) error { return nil }

// Steps of a handler, as the gate counts them.
func (g *gate) Begin()        { g.begin() }
func (g *gate) End()          { g.end() }
func (g *gate) BeginRead()    { g.beginRead() }
func (g *gate) EndRead(n int) { g.endRead(n) }

// Data is how many bytes of p are in DATA frames, when the stream comes in pieces of n.
func Data(p []byte, n int) (data int) {
	var f frames
	for len(p) > 0 {
		part := p[:min(n, len(p))]
		data += f.data(part)
		p = p[len(part):]
	}
	return data
}
