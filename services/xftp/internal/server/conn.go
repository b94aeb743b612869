package server

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"sotto/shared/limit"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// conn is one client connection, and the handler of its requests.
type conn struct {
	srv      *Server
	raw      net.Conn
	session  *transport.Session
	web      bool // the client was shown the web certificate: it is a browser
	gate     *gate
	requests running
	active   atomic.Int64 // Unix seconds of the last begin or end of a request
	lane     limit.Lane   // for FNEW
	unsent   atomic.Int64 // chunks registered here, less those uploaded
	overdue  *time.Timer  // runs until the handshake is over
	streams  atomic.Bool  // there are requests whose answer is not written to its end
	bug      sync.Once    // reports the first panic

	handshake handshake
}

func newConn(s *Server, raw net.Conn, session *transport.Session, web bool) *conn {
	c := &conn{srv: s, raw: raw, session: session, web: web, gate: newGate(session.Conn, s.budget)}
	c.gate.owner, c.lane = c, s.rate.Lane(transport.SourceOf(raw))
	c.touch()
	return c
}

// noteStreams is told by HTTP/2 when a connection's first stream opens, and when its last one closes. While the relay
// shuts down that is the connection's end.
func noteStreams(nc net.Conn, state http.ConnState) {
	c := nc.(*gate).owner
	c.streams.Store(state == http.StateActive)
	if state == http.StateIdle && c.srv.ctx.Err() != nil {
		time.AfterFunc(flushTime, func() {
			if c.answered() {
				c.abort()
			}
		})
	}
}

// answered reports whether all requests are answered to the end.
func (c *conn) answered() bool { return !c.streams.Load() }

func (c *conn) touch() { c.active.Store(c.srv.now().Unix()) }

// serve answers requests until the client leaves, or is made to.
func (c *conn) serve(accepted time.Time) {
	if limit := c.srv.cfg.HandshakeTimeout; limit > 0 && c.session.ALPN != "" {
		c.handshake.mu.Lock() // checkOverdue waits for it
		c.overdue = time.AfterFunc(limit-time.Since(accepted), c.checkOverdue)
		c.handshake.mu.Unlock()
		defer c.overdue.Stop()
	}
	c.srv.http.ServeConn(c.gate, &http2.ServeConnOpts{BaseConfig: c.srv.base, Handler: c})
	c.abort()
}

// checkOverdue closes the connection of a client that does not finish its handshake. A browser may want nothing but
// pages, and keeps connections in stock: it may be silent for as long after its last request.
//
// Spec: xftp.md 11.3
func (c *conn) checkOverdue() {
	limit := c.srv.cfg.HandshakeTimeout
	quiet := time.Duration(c.srv.now().Unix()-c.active.Load()) * time.Second
	switch {
	case c.handshake.over():
	case c.web && (!c.idle() || quiet < limit):
		c.overdue.Reset(limit)
	default:
		c.abort()
	}
}

// idle reports whether there is no request under way.
func (c *conn) idle() bool { return c.requests.count() == 0 }

// abort closes the connection at once. What is under way on it fails.
func (c *conn) abort() {
	c.gate.shut()
	_ = c.raw.Close()
}

// ServeHTTP answers one request.
func (c *conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !c.requests.begin() {
		return
	}
	defer c.requests.end()
	c.touch()
	defer c.touch()
	x := newExchange(c, w, r)
	defer x.release()
	defer c.recoverBug()
	x.serve()
}

// running counts requests under way. Unlike a WaitGroup it lets none begin after the wait has.
type running struct {
	mu     sync.Mutex
	n      int
	closed bool
	none   chan struct{} // closed when the last one has ended; made by wait
}

func (r *running) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.n++
	return true
}

func (r *running) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n--
	if r.n == 0 && r.closed {
		close(r.none)
	}
}

func (r *running) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n
}

// wait lets no request begin any more, and waits for those that have.
func (r *running) wait() {
	r.mu.Lock()
	r.closed = true
	if r.n == 0 {
		r.mu.Unlock()
		return
	}
	r.none = make(chan struct{})
	r.mu.Unlock()
	<-r.none
}

// version1 reports whether this is a very old client, which knows no ALPN and makes no handshake.
//
// Spec: xftp.md 5.5
func (c *conn) version1() bool { return c.session.ALPN == "" }

// silentALPN reports whether this is nobody's protocol here: HTTP/2 by its own name is spoken by browsers alone.
//
// Spec: xftp.md 3.3
func (c *conn) silentALPN() bool { return c.session.ALPN == xftp.ALPNHTTP2 && !c.web }
