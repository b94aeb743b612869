package server

import (
	"context"
	"crypto/ecdh"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/notify"
	"sotto/services/smp/internal/queue"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// conn is one client connection: a goroutine that reads and runs blocks of commands, and, only while there is
// something to write, one that writes.
type conn struct {
	srv        *Server
	raw        net.Conn
	session    *transport.Session
	blocks     *transport.BlockConn
	version    wire.Version
	sessionKey *ecdh.PrivateKey // nil on version 6 connections
	out        outbox
	notifier   *notify.Subscriber
	service    *serviceConn // nil: of none
	lanes      lanes        // of the reader
	forwards   forwards
	proxied    proxied
	clientKey  key.Public // of the client's hello; zero: it had none
	// proxySecret is shared with the proxy that the client is, once it has forwarded something.
	proxySecret *[box.KeySize]byte
	active      atomic.Int64 // Unix seconds of the last traffic either way
	leaving     atomic.Bool  // finish what is at hand, then close

	mu   sync.Mutex // guards subs; nothing is called while it is held
	subs map[queue.Ref]*listening
}

// listening is a connection's state for one queue: subscribed, or reading it with GET. Spec: smp.md 8.6
type listening struct {
	sub *hub.Subscription // nil: only GET
	// The message that GET delivered, when sub is nil. Only the reader goroutine uses these.
	delivered    queue.MessageID
	hasDelivered bool
}

func newConn(s *Server, raw net.Conn, session *transport.Session) *conn {
	c := &conn{srv: s, raw: raw, session: session, blocks: transport.NewBlockConn(session.Conn), subs: make(map[queue.Ref]*listening)}
	c.notifier, c.lanes = notify.NewSubscriber(c), s.rates.lanes(raw)
	c.forwards.change.L, c.proxied.change.L = &c.forwards.mu, &c.proxied.mu
	c.out.init(c, s.cfg.ConnectionBacklog)
	c.touch()
	return c
}

func (c *conn) touch() { c.active.Store(c.srv.now().Unix()) }

// serve reads blocks until the client leaves or the relay shuts down, one after the other.
//
// Spec: smp.md 5
func (c *conn) serve(ctx context.Context) {
	var block transport.Block
	c.blocks.SetPatience(c.srv.cfg.StallTimeout)
	for !c.leaving.Load() {
		payload, err := c.blocks.ReadBlock(&block)
		if err != nil && !errors.Is(err, transport.ErrBlock) {
			break
		}
		c.touch()
		c.srv.count.BlocksRead.Add(1)
		if err != nil {
			c.out.put(group{{resp: smp.ERR{Err: smp.ErrBlock}}})
		} else {
			c.process(ctx, payload)
		}
		block.Release()
	}
	block.Release()
	if !c.leaving.Load() {
		c.out.close() // nobody reads it
	}
	c.awaitForwards()
	c.leaveProxied()
	if c.leaving.Load() {
		c.out.drain()
	}
}

// leave ends the connection's subscriptions. Other connections may be subscribing to the same queues meanwhile.
func (c *conn) leave() {
	c.out.close()
	_ = c.session.Conn.Close()
	c.mu.Lock()
	subs := c.subs
	c.subs = nil
	c.mu.Unlock()
	for _, l := range subs {
		if l.sub != nil {
			c.srv.hub.Unsubscribe(l.sub)
		}
	}
	c.srv.notify.Leave(c.notifier)
}

// interrupt makes serve end after the block at hand.
func (c *conn) interrupt() {
	c.leaving.Store(true)
	_ = c.blocks.SetReadDeadline(time.Now())
	c.stopProxied()
}

// abort ends the connection at once.
func (c *conn) abort() {
	c.leaving.Store(true)
	c.out.close()
	_ = c.raw.Close()
	c.stopProxied()
}

// listening returns the connection's state for a queue, nil when there is none.
func (c *conn) listening(ref queue.Ref) *listening {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subs[ref]
}

func (c *conn) listen(ref queue.Ref, l *listening) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subs != nil {
		c.subs[ref] = l
	}
}

// forget drops the state for a queue; with sub set only if it is still that subscription.
func (c *conn) forget(ref queue.Ref, sub *hub.Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l := c.subs[ref]; l != nil && (sub == nil || l.sub == sub) {
		delete(c.subs, ref)
	}
}

// subscribed reports whether the connection has any subscription. GET does not count. Spec: smp.md 8.6
func (c *conn) subscribed() bool {
	if c.srv.notify.Subscribed(c.notifier) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.subs {
		if l.sub != nil {
			return true
		}
	}
	return false
}
