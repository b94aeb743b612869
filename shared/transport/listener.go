package transport

import (
	"container/list"
	"context"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/pires/go-proxyproto"

	"sotto/shared/limit"
)

// Bounds of a [Listener] whose limits are not set.
const (
	// DefaultConnections fits a machine of some GB: an idle connection holds about 16 KB.
	DefaultConnections = 50_000
	// DefaultHandshakes is what apps reconnecting after a restart may have going at once.
	DefaultHandshakes = 4096
)

const (
	// handshakeGrace is for how long a handshake is safe from making room for a newer one. An honest one takes two
	// or three round trips.
	handshakeGrace = 5 * time.Second

	// The pause after a failure to accept, such as too many open files, doubles between these.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second

	// Dead peers are noticed within eight minutes, without waking a phone that is alive more often than its own
	// keep-alive of 30 seconds does.
	keepAliveIdle     = 5 * time.Minute
	keepAliveInterval = time.Minute
	keepAliveCount    = 3
)

// Limits bound what a [Listener] admits. Zero means the default.
type Limits struct {
	Connections int // open at once, handshakes included; more are closed as they arrive
	Handshakes  int // in their TLS handshake at once; more wait, then take the place of the one that began first
	// Sources bounds the connections of each source; those beyond it are closed before their handshake. The listeners of a
	// relay share it, and those for connections within the relay have none. nil: no bounds.
	Sources *limit.Arrivals
}

// Stats are a listener's counts for metrics.
type Stats struct {
	Connections int    // open now
	Handshakes  int    // of these, in their TLS handshake
	Refused     uint64 // closed on arrival for Limits.Connections, since the start
	Evicted     uint64 // closed within their handshake for Limits.Handshakes, since the start
	Crowded     uint64 // closed because their source had too many, since the start
	TooFast     uint64 // closed because their source connects too often, since the start
}

// Listener accepts TCP connections within limits. Somebody who opens connections and never completes a handshake
// cannot keep others out: when the handshakes are at their limit, the oldest goes after a grace of five seconds.
// Accept is for one goroutine; the other methods may be called from any.
type Listener struct {
	inner  net.Listener
	limits Limits
	done   chan struct{} // closed by Close
	once   sync.Once

	mu       sync.Mutex
	pending  *list.List    // *Conn in their handshake, oldest first
	room     chan struct{} // closed when pending shrinks, while Accept waits for it
	open     int
	refused  uint64
	evicted  uint64
	crowded  uint64
	tooFast  uint64
	closeErr error
}

// Listen opens a TCP port, given as "host:port" or ":port".
func Listen(ctx context.Context, address string, limits Limits) (*Listener, error) {
	inner, err := listenTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	return NewListener(inner, limits), nil
}

// ListenBehindProxy is Listen for a port whose connections come from a proxy and begin with a header of the PROXY protocol,
// version 1 or 2. The header is read with the first bytes; a connection without one fails then. What it says of the client
// is used for [Limits].Sources, and not kept.
func ListenBehindProxy(ctx context.Context, address string, limits Limits) (*Listener, error) {
	inner, err := listenTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	required := func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.REQUIRE, nil }
	return NewListener(&proxyproto.Listener{
		Listener: inner, ConnPolicy: required, ReadHeaderTimeout: HandshakeTimeout,
	}, limits), nil
}

func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{
		Enable:   true,
		Idle:     keepAliveIdle,
		Interval: keepAliveInterval,
		Count:    keepAliveCount,
	}}
	return config.Listen(ctx, "tcp", address)
}

// NewListener puts limits on inner and takes it over.
func NewListener(inner net.Listener, limits Limits) *Listener {
	if limits.Connections <= 0 {
		limits.Connections = DefaultConnections
	}
	if limits.Handshakes <= 0 {
		limits.Handshakes = DefaultHandshakes
	}
	return &Listener{inner: inner, limits: limits, done: make(chan struct{}), pending: list.New()}
}

// Accept returns the next connection, a *[Conn], which counts as a handshake until [ServerHandshake] succeeds on it
// or it is closed. It sits out failures that pass, such as too many open files, and returns [net.ErrClosed] after
// Close.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.accept()
		if err != nil {
			return nil, err
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			// Blocks follow each other closely; without this the second would wait for an acknowledgement.
			tcp.SetNoDelay(true) // fails only if the connection has failed, which its reader will see
		}
		conn, err := l.admit(raw)
		if err != nil {
			raw.Close()
			return nil, err
		}
		if conn != nil {
			return conn, nil
		}
		raw.Close()
	}
}

// accept takes a connection off the port, pausing after failures that pass.
func (l *Listener) accept() (net.Conn, error) {
	for pause := minAcceptPause; ; pause = min(2*pause, maxAcceptPause) {
		raw, err := l.inner.Accept()
		if err == nil {
			return raw, nil
		}
		select {
		case <-l.done:
			return nil, net.ErrClosed
		default:
		}
		if !passing(err) {
			return nil, err
		}
		select {
		case <-l.done:
			return nil, net.ErrClosed
		case <-time.After(pause):
		}
	}
}

// passing reports whether accepting may succeed later.
func passing(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR,
	} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// admit counts raw in, waiting for room among the handshakes. It returns nil if there are too many connections,
// in all or from one source.
func (l *Listener) admit(raw net.Conn) (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open >= l.limits.Connections {
		l.refused++
		return nil, nil
	}
	conn := &Conn{Conn: raw, listener: l}
	if !conn.arrive() {
		return nil, nil
	}
	for l.pending.Len() >= l.limits.Handshakes {
		oldest := l.pending.Front().Value.(*Conn)
		if patience := handshakeGrace - time.Since(oldest.began); patience > 0 {
			if err := l.waitForRoom(patience); err != nil {
				conn.depart()
				return nil, err
			}
			continue
		}
		l.evicted++
		l.leave(oldest)
		oldest.Conn.Close() // its handshake fails and closes it again
	}
	conn.began = time.Now()
	conn.place = l.pending.PushBack(conn)
	conn.counted = true
	l.open++
	return conn, nil
}

// waitForRoom waits, with mu released, until a handshake ends or patience does.
func (l *Listener) waitForRoom(patience time.Duration) error {
	room := make(chan struct{})
	l.room = room
	l.mu.Unlock()
	defer l.mu.Lock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
		return net.ErrClosed
	case <-room:
	case <-timer.C:
	}
	return nil
}

// leave takes c out of the handshakes, under mu.
func (l *Listener) leave(c *Conn) {
	if c.place == nil {
		return
	}
	l.pending.Remove(c.place)
	c.place = nil
	if l.room != nil {
		close(l.room)
		l.room = nil
	}
}

// Addr returns the address listened on.
func (l *Listener) Addr() net.Addr {
	return l.inner.Addr()
}

// Stats returns the present counts.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Connections: l.open, Handshakes: l.pending.Len(), Refused: l.refused, Evicted: l.evicted, Crowded: l.crowded,
		TooFast: l.tooFast,
	}
}

// Close stops accepting. Connections that were accepted stay open.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.closeErr = l.inner.Close()
	})
	return l.closeErr
}
