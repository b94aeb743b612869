package server

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// drainSlack is what a client may send beyond a chunk of the largest size before its connection is closed.
const drainSlack = 64 << 10

// pieceSize is how much of a chunk is in memory of one transfer, in bytes.
const pieceSize = 64 << 10

var piecePool = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// errExcess is the end of a body that is longer than any command has.
var errExcess = errors.New("request body is too long")

// body is the body of one request. Its connection is closed when the client sends nothing of it for too long, or more
// than there is reason to read.
type body struct {
	c     *conn
	r     io.Reader
	left  int64 // bytes until it is too much
	err   error // of the last read
	stall stall
}

// Read reads what comes next. The error is [io.EOF], [os.ErrDeadlineExceeded] when the request took too long, or one of
// the connection's.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if len(p) == 0 {
		return 0, b.exceed()
	}
	b.stall.begin(&b.c.gate.received)
	b.c.gate.beginRead()
	n, err := b.r.Read(p)
	b.c.gate.endRead(n)
	b.stall.end()
	b.left -= int64(n)
	b.err = err
	return n, err
}

// exceed ends a body that is too long, by ending its connection.
func (b *body) exceed() error {
	b.err = errExcess
	b.c.abort()
	return b.err
}

// drain reads the body to its end, which every request needs before its answer: a stream that is answered earlier is
// reset, which ends the connections of native clients. It reports whether there is somebody to answer.
//
// Spec: xftp.md 16.3
func (b *body) drain() bool {
	if b.err == nil {
		piece := piecePool.Get().(*[pieceSize]byte)
		for b.err == nil {
			_, _ = b.Read(piece[:])
		}
		piecePool.Put(piece)
	}
	return b.err == io.EOF || b.late()
}

// late reports whether the request took too long.
func (b *body) late() bool { return errors.Is(b.err, os.ErrDeadlineExceeded) }

// stall closes a connection on which nothing moves while one of its requests waits for that.
type stall struct {
	c     *conn
	limit time.Duration

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	moved   *atomic.Uint64
	seen    uint64
	waiting bool
	left    int
}

// patience is how many times longer than a connection a single answer may be without movement: other requests of the same
// connection share its speed, but they must not hold the store's resources for ever.
const patience = 5

// begin starts to watch a count of bytes.
func (s *stall) begin(moved *atomic.Uint64) {
	if s.limit <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved, s.seen, s.waiting, s.left = moved, moved.Load(), true, patience
	if s.timer == nil {
		s.timer = time.AfterFunc(s.limit, s.check)
		return
	}
	s.timer.Reset(s.limit)
}

// end stops watching.
func (s *stall) end() {
	if s.limit <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = false
	s.timer.Stop()
}

func (s *stall) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.moved.Load()
	s.left--
	stands := now == s.seen && !s.c.gate.holds()
	switch {
	case !s.waiting:
	case stands || s.left <= 0:
		s.c.abort()
	default:
		s.seen = now
		s.timer.Reset(s.limit)
	}
}
