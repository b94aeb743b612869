package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// queue is a listener of connections that the test puts in, and of failures.
type queue struct {
	conns  chan net.Conn
	fails  chan error
	closed chan struct{}
	once   sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), fails: make(chan error), closed: make(chan struct{})}
}

func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.conns:
		return c, nil
	case err := <-q.fails:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: err}
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

func (q *queue) Close() error {
	q.once.Do(func() { close(q.closed) })
	return nil
}

func (q *queue) Addr() net.Addr { return &net.TCPAddr{} }

// dial puts a connection into the queue and returns its other end.
func (q *queue) dial(t *testing.T) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	q.conns <- near
	return far
}

// closedByPeer reports whether the other end of a pipe is closed; if it is not, nobody may be writing to it.
func closedByPeer(conn net.Conn) bool {
	conn.SetReadDeadline(time.Now())
	_, err := conn.Read(make([]byte, 1))
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// acceptAll accepts in the background until the listener closes.
func acceptAll(l *Listener) <-chan *Conn {
	accepted := make(chan *Conn, 100)
	go func() {
		defer close(accepted)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c.(*Conn)
		}
	}()
	return accepted
}

func TestConnectionLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{Connections: 2})
		accepted := acceptAll(l)
		q.dial(t)
		q.dial(t)
		first := <-accepted
		refused := q.dial(t)
		synctest.Wait()
		if !closedByPeer(refused) || len(accepted) != 1 {
			t.Error("not refused")
		}
		if got := l.Stats(); got != (Stats{Connections: 2, Handshakes: 2, Refused: 1}) {
			t.Errorf("%+v", got)
		}
		first.Established()
		first.Close()
		first.Close()
		if got := l.Stats(); got != (Stats{Connections: 1, Handshakes: 1, Refused: 1}) {
			t.Errorf("after a close: %+v", got)
		}
		again := q.dial(t)
		synctest.Wait()
		if closedByPeer(again) || len(accepted) != 2 {
			t.Error("no room after a close")
		}
		l.Close()
		for c := range accepted {
			c.Close()
		}
		if got := l.Stats(); got != (Stats{Refused: 1}) {
			t.Errorf("at the end: %+v", got)
		}
	})
}

// TestHandshakeLimit has two who connect and do nothing, then others: they wait, and then take the places of the
// first.
func TestHandshakeLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{Handshakes: 2})
		accepted := acceptAll(l)
		start := time.Now()
		oldest := q.dial(t)
		<-time.After(time.Second) // of the bubble
		younger := q.dial(t)
		q.dial(t)
		synctest.Wait()
		if len(accepted) != 2 || closedByPeer(oldest) {
			t.Fatal("did not wait")
		}
		<-accepted
		<-accepted
		third := <-accepted
		if waited := time.Since(start); waited != handshakeGrace || !closedByPeer(oldest) || closedByPeer(younger) {
			t.Errorf("admitted after %v", waited)
		}
		q.dial(t)
		synctest.Wait()
		if len(accepted) != 0 {
			t.Fatal("did not wait")
		}
		// A handshake that ends makes room at once.
		third.Established()
		synctest.Wait()
		if len(accepted) != 1 || time.Since(start) != handshakeGrace || closedByPeer(younger) {
			t.Error("did not take the place of a handshake that ended")
		}
		third.Established()
		if got := l.Stats(); got.Handshakes != 2 || got.Evicted != 1 || got.Connections != 4 {
			t.Errorf("%+v", got)
		}
		l.Close()
	})
}

// TestHandshakeLimitAndClose closes the listener while it waits for a handshake to end.
func TestHandshakeLimitAndClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{Handshakes: 1})
		accepted := acceptAll(l)
		first, waiting := q.dial(t), q.dial(t)
		synctest.Wait()
		l.Close()
		l.Close()
		synctest.Wait()
		if !closedByPeer(waiting) || closedByPeer(first) {
			t.Error("the one that waited is not closed, or the other is")
		}
		for c := range accepted {
			c.Close()
		}
	})
}

// TestEvictedHandshake runs handshakes on the connections of a listener.
func TestEvictedHandshake(t *testing.T) {
	id := newIdentity(t)
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{Handshakes: 1})
		cfg := ClientConfig{Fingerprint: id.Fingerprint(), Now: func() time.Time { return id.Expires().AddDate(-1, 0, 0) }}
		results := make(chan outcome, 2)
		go func() {
			for c := range acceptAll(l) {
				go func() {
					session, err := ServerHandshake(t.Context(), c, ServerConfig(id))
					results <- outcome{session, err}
				}()
			}
		}()
		q.dial(t)
		honest := q.dial(t)
		session, err := ClientHandshake(t.Context(), honest, cfg)
		if err != nil {
			t.Fatal(err)
		}
		first, second := <-results, <-results
		if first.err == nil { // they end at the same moment
			first, second = second, first
		}
		if Safe(first.err) != "closed" || second.err != nil {
			t.Errorf("%v, %v", Safe(first.err), second.err)
		}
		if got := l.Stats(); got != (Stats{Connections: 2, Handshakes: 0, Evicted: 1}) && got != (Stats{Connections: 1, Evicted: 1}) {
			t.Errorf("%+v", got)
		}
		go session.Conn.Close()
		second.session.Conn.Close()
		synctest.Wait()
		if got := l.Stats(); got != (Stats{Evicted: 1}) {
			t.Errorf("at the end: %+v", got)
		}
		l.Close()
	})
}

func TestAcceptFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{})
		accepted := acceptAll(l)
		start := time.Now()
		for range 3 {
			q.fails <- syscall.EMFILE
		}
		q.dial(t)
		(<-accepted).Close()
		if waited := time.Since(start); waited != 7*minAcceptPause {
			t.Errorf("accepted after %v", waited)
		}
		q.fails <- syscall.EMFILE
		l.Close()
		if _, ok := <-accepted; ok {
			t.Error("accepted after Close")
		}
	})
	t.Run("for good", func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{})
		go func() { q.fails <- syscall.EBADF }()
		if _, err := l.Accept(); !errors.Is(err, syscall.EBADF) {
			t.Error(err)
		}
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestListen(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.limits != (Limits{Connections: DefaultConnections, Handshakes: DefaultHandshakes}) {
		t.Errorf("%+v", l.limits)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	raw, err := conn.(*Conn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for _, option := range []struct {
		name          string
		level, option int
	}{
		{"TCP_NODELAY", syscall.IPPROTO_TCP, syscall.TCP_NODELAY},
		{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
	} {
		var value int
		var optionErr error
		err := raw.Control(func(fd uintptr) { value, optionErr = syscall.GetsockoptInt(int(fd), option.level, option.option) })
		if err := errors.Join(err, optionErr); err != nil || value == 0 {
			t.Errorf("%s is %d, %v", option.name, value, err)
		}
	}
	if _, err := Listen(t.Context(), l.Addr().String(), Limits{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}
