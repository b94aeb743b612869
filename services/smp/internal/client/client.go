// Package client is an SMP client: it connects to a relay, checks that it is the one of the address, and sends
// commands, many at a time. The relay's proxy, its self-test and its end-to-end and load tests stand on it.
//
// A [Client] has two goroutines. One writes: commands wait in blocks that are filled while the previous block is being
// written, so commands of many callers share a block. The other reads: it gives each answer to the call with its
// correlation id, and everything else to [Client.Events]. No call costs a goroutine. [Conn] is a connection without
// this machinery, for tests that send what a client would not.
//
// Errors tell three things apart: what the relay answered (an [smp.Error], for instance [smp.ErrAuth]), the loss of
// the connection ([*ConnError]) and an answer that makes no sense ([*ResponseError]). A call whose context ends gives
// the context's error; its command may still be executed.
package client

import (
	"fmt"
	"io"
	"sync"

	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Client is a connection to a relay that any number of goroutines may use at once.
type Client struct {
	conn   *Conn
	events chan Event
	done   chan struct{} // closed when the connection ends
	wake   chan struct{} // tells the writer of a block; has room for one

	mu      sync.Mutex
	err     error           // why the connection ended, nil before
	pending map[corrID]slot // commands without an answer yet
	queue   []*outbound     // blocks to write; the last one may still be filled
	crowded bool            // somebody waits on room
	room    chan struct{}   // closed when a block leaves a full queue
}

// maxQueued is the number of blocks that wait to be written before callers have to wait: 1 MB.
const maxQueued = 64

// New makes a Client of a connection, which it owns from then on.
func New(conn *Conn) *Client {
	c := newClient(conn)
	go c.read()
	go c.write()
	return c
}

// newClient is New without the goroutines.
func newClient(conn *Conn) *Client {
	return &Client{
		conn:    conn,
		events:  make(chan Event, conn.options.EventBuffer),
		done:    make(chan struct{}),
		wake:    make(chan struct{}, 1),
		pending: make(map[corrID]slot),
		room:    make(chan struct{}),
	}
}

// Format prints a placeholder, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[client]") }

// Version returns the agreed version.
func (c *Client) Version() wire.Version { return c.conn.version }

// SessionID returns the session id, which the caller must not change. Spec: smp.md 3.4
func (c *Client) SessionID() []byte { return c.conn.session.ID }

// Conn returns the connection. Its methods that write may be used beside the Client, those that read may not.
func (c *Client) Conn() *Conn { return c.conn }

// Done returns a channel that is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err returns why the connection ended, a [*ConnError], or nil while it lasts.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close ends the connection; calls without an answer fail with [ErrClosed]. It may be called more than once.
func (c *Client) Close() error {
	c.fail(ErrClosed)
	return nil
}

// fail ends the connection for this reason, unless it has ended before, and every call with it.
func (c *Client) fail(reason error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	c.err = &ConnError{Err: reason}
	for _, s := range c.pending {
		s.call.answer(s.index, answer{err: c.err})
	}
	clear(c.pending)
	for _, b := range c.queue {
		b.release()
	}
	c.queue = nil
	close(c.done)
	c.mu.Unlock()
	_ = c.conn.Close()
}

// write sends the queued blocks until the connection ends.
func (c *Client) write() {
	for {
		b := c.next()
		if b == nil {
			return
		}
		err := c.conn.WriteBlock(b.packer.Payload())
		b.release()
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// next waits for a block to write. It returns nil when the connection has ended.
func (c *Client) next() *outbound {
	for {
		c.mu.Lock()
		if len(c.queue) > 0 {
			b := c.queue[0]
			n := copy(c.queue, c.queue[1:])
			c.queue[n] = nil
			c.queue = c.queue[:n]
			if c.crowded {
				close(c.room)
				c.room, c.crowded = make(chan struct{}), false
			}
			c.mu.Unlock()
			return b
		}
		c.mu.Unlock()
		select {
		case <-c.wake:
		case <-c.done:
			return nil
		}
	}
}

// read receives blocks until the connection ends, then closes the events.
func (c *Client) read() {
	defer close(c.events)
	for {
		in := takeInbound()
		payload, err := c.conn.ReadBlock(&in.block)
		if err == nil {
			err = c.receive(in, payload)
		} else if err == transport.ErrBlock {
			err = ErrMalformed
		}
		in.release()
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// receive gives the transmissions of a block to those who wait for them. An error ends the connection.
func (c *Client) receive(in *inbound, payload []byte) error {
	return c.conn.each(payload, func(t *wire.Transmission) error {
		if c.complete(in, t) {
			return nil
		}
		return c.notify(in, t)
	})
}

// complete gives t to the call with its correlation id, if there is one.
func (c *Client) complete(in *inbound, t *wire.Transmission) bool {
	if len(t.CorrID) != corrIDSize {
		return false
	}
	id := corrID(t.CorrID)
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.pending[id]
	if !ok {
		return false
	}
	delete(c.pending, id)
	in.retain()
	s.call.answer(s.index, answer{in: in, entity: t.EntityID, response: t.Command})
	return true
}
