// Package handover carries a session whose TLS has ended at a front door to the relay that it is for, over a network that
// only the two are in. The connection begins with a PROXY protocol header of version 2, which holds what the relay needs
// to know of the handshake and no address; what follows is what was inside TLS.
package handover

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/pires/go-proxyproto"

	"sotto/shared/transport"
)

// The fields of the header.
const (
	fieldALPN    = proxyproto.PP2_TYPE_ALPN
	fieldSession = proxyproto.PP2_TYPE_MIN_CUSTOM // the session id
)

// headerTime is what the door may take to send the header, which it has at hand when it connects.
const headerTime = 5 * time.Second

// The lengths of session ids: that of TLS 1.2, and that of the longest hash.
//
// Spec: smp.md 3.4
const (
	minSession = 12
	maxSession = 48
)

// ErrHeader is returned for a connection that does not begin as one that was handed over does.
var ErrHeader = errors.New("handover: the connection was not handed over")

// Write begins a connection to the relay's inner port with what there is to know of s.
func Write(w io.Writer, s *transport.Session) error {
	// LOCAL tells that the header brings no address.
	header := &proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}
	err := header.SetTLVs([]proxyproto.TLV{
		{Type: fieldALPN, Value: []byte(s.ALPN)},
		{Type: fieldSession, Value: s.ID},
	})
	if err != nil {
		return ErrHeader
	}
	_, err = header.WriteTo(w)
	return err
}

// Listener is a relay's inner port: its connections are [transport.Secured].
type Listener struct {
	net.Listener
}

// Accept returns the next connection, whose header is read with its session.
func (l Listener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: raw, buffered: bufio.NewReader(raw)}, nil
}

// conn is a connection that was handed over.
type conn struct {
	net.Conn
	buffered *bufio.Reader // nil once the header is read and what came with it too
}

// Session reads the header.
func (c *conn) Session(ctx context.Context) (*transport.Session, error) {
	deadline := time.Now().Add(headerTime)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	if err := c.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	header, err := proxyproto.Read(c.buffered)
	if err != nil {
		return nil, ErrHeader // the library's errors may quote what was sent
	}
	s, err := session(header)
	if err != nil {
		return nil, err
	}
	s.Conn = c
	return s, c.SetReadDeadline(time.Time{})
}

// session takes the fields out of the header.
func session(header *proxyproto.Header) (*transport.Session, error) {
	fields, err := header.TLVs()
	if err != nil || header.Version != 2 || !header.Command.IsLocal() {
		return nil, ErrHeader
	}
	var s transport.Session
	for _, field := range fields {
		switch field.Type {
		case fieldALPN:
			s.ALPN = string(field.Value)
		case fieldSession:
			s.ID = field.Value
		}
	}
	if len(s.ID) < minSession || len(s.ID) > maxSession {
		return nil, ErrHeader
	}
	return &s, nil
}

// Read reads what was inside TLS. It is called after Session.
func (c *conn) Read(p []byte) (int, error) {
	if c.buffered == nil {
		return c.Conn.Read(p)
	}
	if c.buffered.Buffered() == 0 {
		c.buffered = nil
		return c.Conn.Read(p)
	}
	return c.buffered.Read(p)
}

// CloseWrite tells the door that nothing more will come.
func (c *conn) CloseWrite() error { return transport.CloseWrite(c.Conn) }

// Established is told to the connection beneath.
func (c *conn) Established() {
	if e, ok := c.Conn.(transport.Established); ok {
		e.Established()
	}
}
