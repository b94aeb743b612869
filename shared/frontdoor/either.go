package frontdoor

import (
	"context"
	"net"
	"time"

	"sotto/shared/handover"
	"sotto/shared/limit"
	"sotto/shared/transport"
)

// A client of the file relay sends the beginning of HTTP/2 as soon as the handshake is over, and one of the message relay
// waits for the relay's hello. How long the door waits to see which it is, follows the time of the handshake, which takes
// at least one round trip: far or lossy roads get more. It is the price of a message client's connection.
const (
	minPatience = 300 * time.Millisecond
	maxPatience = 2 * time.Second
)

// firstBytes is how much of what comes first is passed on at once: more than the beginning of HTTP/2.
const firstBytes = 4 << 10

// toEither makes the handshake with a client of either relay, and then finds out of which.
//
// Spec: smp.md 3.6
// Spec: xftp.md 3.3
func (d *Door) toEither(conn *transport.Replay) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(d.ctx, tlsTime)
	defer cancel()
	session, err := d.either.Handshake(ctx, conn)
	if err != nil {
		return
	}
	if !d.files.takesSessions() {
		d.give(&secured{Conn: conn, session: session})
		return
	}
	first, err := await(session.Conn, min(max(time.Since(begun), minPatience), maxPatience))
	switch {
	case err != nil:
		_ = session.Abort()
	case len(first) == 0:
		d.give(&secured{Conn: conn, session: session})
	default:
		d.handOver(session, first)
	}
}

// await reads what comes within a time, if anything does.
func await(conn net.Conn, patience time.Duration) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	first := make([]byte, firstBytes)
	n, err := conn.Read(first)
	if timeout, ok := err.(net.Error); err != nil && n == 0 && !(ok && timeout.Timeout()) {
		return nil, err
	}
	// crypto/tls goes on after a read that came too early.
	return first[:n], conn.SetReadDeadline(time.Time{})
}

// handOver takes a session to the file relay. TLS ends here; what is inside goes on.
func (d *Door) handOver(session *transport.Session, first []byte) {
	relay, err := d.files.dialInner(d.ctx)
	if err != nil {
		_ = session.Conn.Close()
		return
	}
	err = handover.Write(relay, session)
	if err == nil {
		_, err = relay.Write(first)
	}
	if err != nil {
		_ = relay.Close()
		_ = session.Conn.Close()
		return
	}
	splice(session.Conn, relay)
}

// secured is a connection whose handshake was made here.
type secured struct {
	net.Conn // without TLS
	session  *transport.Session
}

// Session returns the session, whose connection is in TLS.
func (s *secured) Session(context.Context) (*transport.Session, error) { return s.session, nil }

// Source tells who the client is.
func (s *secured) Source() limit.Source { return transport.SourceOf(s.Conn) }
