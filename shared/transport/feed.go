package transport

import (
	"net"
	"sync"
)

// Feed is a listener whose connections come from within the program: from a listener that has looked at them first. All
// methods may be called from any goroutine.
type Feed struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewFeed returns a feed that calls itself addr.
func NewFeed(addr net.Addr) *Feed {
	return &Feed{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// Give waits until the connection is accepted. It returns false, and the connection stays the caller's, after Close.
func (f *Feed) Give(conn net.Conn) bool {
	select {
	case f.conns <- conn:
		return true
	case <-f.done:
		return false
	}
}

// Accept returns the next connection, or [net.ErrClosed] after Close.
func (f *Feed) Accept() (net.Conn, error) {
	select {
	case conn := <-f.conns:
		return conn, nil
	case <-f.done:
		return nil, net.ErrClosed
	}
}

// Close ends all calls of Give and Accept. Connections that were accepted stay open.
func (f *Feed) Close() error {
	f.once.Do(func() { close(f.done) })
	return nil
}

// Addr returns the address given to NewFeed.
func (f *Feed) Addr() net.Addr { return f.addr }
