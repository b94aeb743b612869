package server

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultUploadMemory is what all uploads together may be ahead of the store: enough for 256 that are.
const DefaultUploadMemory = 64 << 20

const (
	// firstAhead is how much of request bodies a connection may have read from the wire that no handler has taken, and
	// nextAhead how much more for each further body. It covers the time in which the store writes a piece.
	firstAhead = 256 << 10
	nextAhead  = 64 << 10
	// leastAhead is what remains of that when all connections together exceed [Config.UploadMemory]: two frames of the
	// size that clients use.
	leastAhead = 32 << 10
)

// budget is what the gates of all connections share.
type budget struct {
	limit int64
	ahead atomic.Int64
}

func newBudget(limit int64) *budget {
	if limit <= 0 {
		limit = DefaultUploadMemory
	}
	return &budget{limit: limit}
}

// gate is the connection that HTTP/2 reads from. The windows that it grants are as large as the fastest and farthest
// client needs, and it buffers what arrives within them; so when handlers are slower than the wire, the gate stops
// reading, and TCP's own window holds the client back.
//
// It cannot bring the connection to a standstill. What it counts are bytes that handlers are going to take: those that
// wait for their bodies have something to read, and those that do not, wait for the store, which answers within a bound.
// A handler that writes its answer needs the wire, for the client's window, and is not counted. Should the count be wrong,
// because a client pads its frames or goes on sending what it has reset, that shows when all handlers wait and none gets
// anything; then it begins anew.
//
// It names no addresses, so that nothing above it can.
type gate struct {
	net.Conn
	budget *budget
	owner  *conn

	received, sent atomic.Uint64 // bytes so far

	mu      sync.Mutex // guards what follows
	moved   sync.Cond
	frames  frames
	ahead   int  // bytes of bodies that were read from the wire and that no handler has taken
	bodies  int  // requests that do not answer yet
	reading int  // of these, those in a read of their body
	closed  bool // reads do not wait any more

	waiting bool // for ahead to shrink
	recount *time.Timer
	reads   uint64 // of handlers so far
	seen    uint64 // of these, when the timer was set
}

// recountTime is for how long handlers may wait for bytes that are there, if the count is right. It takes a very busy
// machine for that.
const recountTime = time.Second

func newGate(conn net.Conn, b *budget) *gate {
	g := &gate{Conn: conn, budget: b}
	g.moved.L = &g.mu
	return g
}

// Read reads from the wire, as soon as that is due.
func (g *gate) Read(p []byte) (int, error) {
	g.await()
	n, err := g.Conn.Read(p)
	if n > 0 {
		g.received.Add(uint64(n))
		g.arrived(p[:n])
	}
	return n, err
}

func (g *gate) await() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.full() {
		return
	}
	g.waiting = true
	g.watch()
	for g.full() {
		g.moved.Wait()
	}
	g.waiting = false
	g.recount.Stop()
}

// holds reports whether it is the gate that lets nothing through, and not the client that sends nothing.
func (g *gate) holds() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

func (g *gate) full() bool { return !g.closed && g.ahead > g.allowance() }

// watch sets the timer that finds a wrong count.
func (g *gate) watch() {
	g.seen = g.reads
	if g.recount == nil {
		g.recount = time.AfterFunc(recountTime, g.check)
		return
	}
	g.recount.Reset(recountTime)
}

// check drops a count that is wrong.
func (g *gate) check() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.waiting {
		return
	}
	if g.reading == g.bodies && g.reads == g.seen {
		g.change(-g.ahead)
		g.moved.Signal()
		return
	}
	g.watch()
}

func (g *gate) allowance() int {
	if g.budget.ahead.Load() > g.budget.limit {
		return leastAhead
	}
	return firstAhead + max(g.bodies-1, 0)*nextAhead
}

func (g *gate) arrived(p []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change(g.frames.data(p))
}

// change counts bytes that came, or went, under mu.
func (g *gate) change(n int) {
	if g.closed {
		return
	}
	n = max(n, -g.ahead)
	g.ahead += n
	g.budget.ahead.Add(int64(n))
}

// begin counts a request that may have a body.
func (g *gate) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bodies++
}

// end counts it out: its body was read, or is not going to be. With the last one goes what was miscounted, such as
// padding and bodies that nobody read.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.bodies--
	if g.bodies == 0 {
		g.change(-g.ahead)
	}
	g.moved.Signal()
}

// beginRead is called before a handler reads its body, and endRead afterwards with the number of bytes it got.
func (g *gate) beginRead() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading++
}

func (g *gate) endRead(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reading--
	g.reads++
	g.change(-n)
	g.moved.Signal()
}

// Write writes to the wire.
func (g *gate) Write(p []byte) (int, error) {
	n, err := g.Conn.Write(p)
	g.sent.Add(uint64(n))
	return n, err
}

// Close closes the connection.
func (g *gate) Close() error {
	g.shut()
	return g.Conn.Close()
}

// shut lets reads pass, to fail by themselves, and gives back what was counted.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.change(-g.ahead)
	g.closed = true
	g.moved.Signal()
}

// RemoteAddr returns a placeholder.
func (g *gate) RemoteAddr() net.Addr { return nowhere{} }

// LocalAddr returns a placeholder.
func (g *gate) LocalAddr() net.Addr { return nowhere{} }

// nowhere is the address of everybody.
type nowhere struct{}

func (nowhere) Network() string { return "tcp" }
func (nowhere) String() string  { return "[address]" }

// Parts of HTTP/2 that the gate has to know.
const (
	prefaceSize     = 24
	frameHeaderSize = 9
	frameData       = 0
)

// frames follows the frames in a client's stream, which is split anyhow.
type frames struct {
	preface int // bytes of the preface seen
	header  [frameHeaderSize]byte
	headed  int // bytes of the header seen
	left    int // bytes of the payload still to come
}

// data takes the next part of the stream and returns how many bytes of it lie in DATA frames.
func (f *frames) data(p []byte) (n int) {
	if f.preface < prefaceSize {
		skipped := min(prefaceSize-f.preface, len(p))
		f.preface += skipped
		p = p[skipped:]
	}
	for len(p) > 0 {
		if f.left > 0 {
			part := min(f.left, len(p))
			f.left -= part
			p = p[part:]
			if f.header[3] == frameData {
				n += part
			}
			continue
		}
		part := copy(f.header[f.headed:], p)
		f.headed += part
		p = p[part:]
		if f.headed == frameHeaderSize {
			f.headed = 0
			f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
		}
	}
	return n
}
