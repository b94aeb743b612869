package tls13

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// State is what a handshake has agreed.
type State struct {
	// Suite is the cipher suite.
	Suite uint16
	// ALPN is the protocol that was chosen, "" if there was none to choose.
	ALPN string
	// ServerName is the host that the client has named, "" if none.
	ServerName string
	// PeerChain is the peer's chain in DER, leaf first, whose leaf's key it has proven to hold. It is nil for a client that has
	// shown none.
	PeerChain [][]byte
	// ClientFinished is the client's Finished message: 32 bytes, or 48 with AES256GCM. Both ends have the same, and no
	// other connection has.
	//
	// Spec: smp.md 3.4
	ClientFinished []byte
	// Retried tells that the server has answered the first ClientHello with a HelloRetryRequest.
	Retried bool
}

// Conn is a connection after its handshake. Its methods may be used by several goroutines, like those of any [net.Conn].
type Conn struct {
	raw    net.Conn
	client bool
	closed atomic.Bool
	state  State
	in     inbound
	out    outbound
}

var _ net.Conn = (*Conn)(nil)

// newConn returns a connection before its handshake.
func newConn(raw net.Conn, client bool) *Conn {
	c := &Conn{raw: raw, client: client}
	c.in.shaking, c.in.budget = true, maxHandshake
	c.out.limit = maxRecords
	return c
}

// run runs a handshake within the bounds of ctx. It closes the connection if that fails.
func (c *Conn) run(ctx context.Context, handshake func() error) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		c.raw.SetDeadline(time.Unix(1, 0)) // long ago
	})
	err := handshake()
	if !stop() {
		<-interrupted
		err = ctx.Err()
	}
	if err != nil {
		c.out.report(c.raw, err)
		c.raw.Close()
		c.in.wipe()
		c.out.wipe()
		return err
	}
	c.in.shaking, c.in.idle = false, 0
	return nil
}

// readMessage reads the next message of the handshake, with its header, which has to be of the kind.
func (c *Conn) readMessage(kind byte) ([]byte, error) {
	message, err := c.readAny()
	if err == nil && message[0] != kind {
		return nil, ErrUnexpected
	}
	return message, err
}

// readAny reads the next message of the handshake, with its header.
func (c *Conn) readAny() ([]byte, error) {
	for {
		if message, err := c.in.message(); message != nil || err != nil {
			return message, err
		}
		kind, content, err := c.in.record(c.raw)
		if err != nil {
			return nil, err
		}
		if kind == recordAlert {
			if err := c.alert(content); err != nil {
				return nil, err
			}
			continue
		}
		c.in.gather(content)
	}
}

// alert takes an alert. It returns nil if that does not end the connection.
//
// Source: RFC 8446 6
func (c *Conn) alert(content []byte) error {
	if len(content) != 2 {
		return ErrRecord
	}
	alert := Alert(content[1])
	c.in.done()
	switch {
	case alert == alertUserCanceled:
		return nil // close_notify follows
	case alert == alertCloseNotify && !c.in.shaking:
		return io.EOF
	default:
		return alert
	}
}

// Read reads data. It returns [io.EOF] after the peer's close_notify, and [io.ErrUnexpectedEOF] if the connection ends
// without. After a timeout it may be called again.
func (c *Conn) Read(p []byte) (int, error) {
	c.in.Lock()
	defer c.in.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	for len(c.in.rest) == 0 {
		if err := c.readData(); err != nil {
			c.in.stop(err)
			c.out.report(c.raw, err)
			return 0, err
		}
	}
	n := copy(p, c.in.rest)
	if c.in.rest = c.in.rest[n:]; len(c.in.rest) == 0 {
		c.in.done()
	}
	return n, nil
}

// readData reads one record, with data or without.
func (c *Conn) readData() error {
	kind, content, err := c.in.record(c.raw)
	if err != nil {
		return err
	}
	if c.in.seq == c.out.limit {
		c.out.ask.Store(true)
	}
	switch kind {
	case recordData:
		if c.in.rest = content; len(content) == 0 {
			c.in.done()
		}
		return nil
	case recordAlert:
		return c.alert(content)
	default:
		c.in.gather(content)
		return c.takeMessages()
	}
}

// takeMessages takes the handshake messages that come after the handshake.
//
// Source: RFC 8446 4.6
func (c *Conn) takeMessages() error {
	for {
		// The type is looked at first: it needs no whole message to be refused.
		if len(c.in.hand) > 0 && !c.expects(c.in.hand[0]) {
			return ErrUnexpected
		}
		message, err := c.in.message()
		if message == nil || err != nil {
			return err
		}
		if message[0] == messageKeyUpdate {
			if err := c.takeKeyUpdate(message); err != nil {
				return err
			}
		} else if err := c.in.count(0); err != nil { // a ticket, of no use; many may come in one record
			return err
		}
	}
}

// expects reports whether the peer may send messages of this type after the handshake.
func (c *Conn) expects(kind byte) bool {
	return kind == messageKeyUpdate || kind == messageNewSessionTicket && c.client
}

// takeKeyUpdate changes the keys of the peer's direction, after which its message is the last of its record. One's own
// are changed, if it asks for that, when there is something to be sent, so that many requests have one answer.
//
// Source: RFC 8446 4.6.3
func (c *Conn) takeKeyUpdate(message []byte) error {
	request, err := parseKeyUpdate(message)
	if err != nil {
		return err
	}
	if len(c.in.hand) > 0 {
		return ErrUnexpected
	}
	c.in.update()
	if request {
		c.out.due.Store(true)
	}
	return nil
}

// Write writes data, in records as long as can be, each with one call. Every error is for good.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.out.Lock()
	defer c.out.Unlock()
	if err := c.out.ready(); err != nil {
		return 0, err
	}
	for n < len(p) {
		part := p[n:min(len(p), n+maxContent)]
		if err := c.out.refresh(c.raw); err != nil {
			return n, err
		}
		if err := c.out.send(c.raw, recordData, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite tells the peer that nothing more will come. What it sends can still be read.
func (c *Conn) CloseWrite() error {
	c.out.Lock()
	defer c.out.Unlock()
	return c.out.farewell(c.raw)
}

// Close tells the peer that this is the end, unless somebody is writing, and closes the connection. A peer that does not
// read is not waited for long.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	if c.out.TryLock() {
		c.raw.SetWriteDeadline(time.Now().Add(farewellTimeout))
		c.out.farewell(c.raw)
		c.out.stop(net.ErrClosed)
		c.out.Unlock()
	}
	err := c.raw.Close()
	if c.in.TryLock() { // otherwise the one who reads learns it now
		c.in.stop(net.ErrClosed)
		c.in.Unlock()
	}
	return err
}

// Watcher is told when a record has begun to come, for which there is a buffer from then on, and when it is whole. It is told
// within Read.
type Watcher interface {
	Begun()
	Whole()
}

// Watch lets w bound the time that records take. It is called before the connection is read from.
func (c *Conn) Watch(w Watcher) { c.in.watcher = w }

// State returns what the handshake has agreed. It must not be changed.
func (c *Conn) State() State { return c.state }

// NetConn returns the connection below. Closing it closes without a farewell.
func (c *Conn) NetConn() net.Conn { return c.raw }

// LocalAddr returns that of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns that of the connection below.
func (c *Conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline sets the deadlines of Read and Write. After a Write that has missed its deadline nothing can be written.
func (c *Conn) SetDeadline(t time.Time) error { return c.raw.SetDeadline(t) }

// SetReadDeadline sets the deadline of Read.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetWriteDeadline sets the deadline of Write.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.raw.SetWriteDeadline(t) }
