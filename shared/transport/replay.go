package transport

import (
	"bytes"
	"errors"
	"net"

	"sotto/shared/limit"
)

// Replay is a connection whose beginning was read and is read again. One goroutine reads.
type Replay struct {
	net.Conn
	head []byte // what is read before the rest
}

// NewReplay puts a copy of head before what is still to come of conn.
func NewReplay(conn net.Conn, head []byte) *Replay {
	return &Replay{Conn: conn, head: bytes.Clone(head)}
}

// Read reads the beginning, and then from the connection.
func (r *Replay) Read(p []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.head)
	if r.head = r.head[n:]; len(r.head) == 0 {
		r.head = nil
	}
	return n, nil
}

// Rest returns what is left of the beginning, and does not read it again.
func (r *Replay) Rest() []byte {
	head := r.head
	r.head = nil
	return head
}

// Established tells the listener that the handshake is over.
func (r *Replay) Established() {
	if e, ok := r.Conn.(Established); ok {
		e.Established()
	}
}

// Source tells who is on the other side.
func (r *Replay) Source() limit.Source { return SourceOf(r.Conn) }

// CloseWrite tells the peer that nothing more will come.
func (r *Replay) CloseWrite() error { return CloseWrite(r.Conn) }

// CloseWrite ends one direction of a connection, which may wrap a socket in the ways of this package: the peer is told that
// nothing more will come.
func CloseWrite(conn net.Conn) error {
	if c, ok := conn.(*Conn); ok {
		conn = c.Conn
	}
	if c, ok := conn.(interface{ Raw() net.Conn }); ok { // after a PROXY header
		conn = c.Raw()
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
