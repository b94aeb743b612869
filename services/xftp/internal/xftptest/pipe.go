package xftptest

import (
	"context"
	"errors"
	"net"
	"sync"
)

// errRefused: the relay does not listen any more.
var errRefused = errors.New("connection refused")

// pipeListener is a listener whose connections are pipes.
type pipeListener struct {
	waiting chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{waiting: make(chan net.Conn), done: make(chan struct{})}
}

// Accept returns the relay's end of the next pipe.
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.waiting:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close refuses further connections.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns an address that nobody can connect to.
func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	own, theirs := net.Pipe()
	select {
	case l.waiting <- theirs:
		return own, nil
	case <-l.done:
		return nil, errRefused
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
