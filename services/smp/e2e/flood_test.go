package e2e

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/relay"
	"sotto/shared/smp"
)

// flood is a client that writes as fast as it can and never reads.
type flood struct {
	conn    *client.Conn
	blocks  atomic.Int64
	ended   chan struct{}
	last    int64
	lastSet time.Time
}

// newFlood begins one, of commands with small answers. It ends with the test.
func newFlood(t *testing.T, r *relay.Relay) *flood {
	t.Helper()
	return floodWith(t, r, func() []*client.Request {
		pings := make([]*client.Request, 255)
		for i := range pings {
			pings[i] = &client.Request{Command: smp.PING{}}
		}
		return pings
	})
}

// floodWith begins a flood of blocks of these requests.
func floodWith(t *testing.T, r *relay.Relay, block func() []*client.Request) *flood {
	t.Helper()
	f := &flood{ended: make(chan struct{})}
	options := speaking(smp.MaxVersion)
	f.conn = dialConn(t, r, options)
	must(t, "deadline", f.conn.SetDeadline(time.Now().Add(testTime)))
	go func() {
		defer close(f.ended)
		for f.conn.Send(block()...) == nil {
			f.blocks.Add(1)
		}
	}()
	t.Cleanup(func() {
		_ = f.conn.Close()
		<-f.ended
	})
	return f
}

// stuckTime is how long nothing more must be taken before a flood counts as held back.
const stuckTime = time.Second

// stuck reports whether the relay reads no more from the flood, or has cut it off.
func (f *flood) stuck() bool {
	select {
	case <-f.ended:
		return true
	default:
	}
	if n := f.blocks.Load(); n != f.last || f.lastSet.IsZero() {
		f.last, f.lastSet = n, time.Now()
	}
	return time.Since(f.lastSet) > stuckTime
}

// crowd is many TCP connections that go no further.
type crowd []net.Conn

// newCrowd opens n connections and writes first to each. They end with the test.
func newCrowd(t *testing.T, r *relay.Relay, n int, first []byte) crowd {
	t.Helper()
	var all crowd
	t.Cleanup(func() { all.close() })
	for range n {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", r.Port), answerTime)
		if err != nil {
			t.Fatalf("connection %d: %v", len(all), err)
		}
		all = append(all, c)
		if _, err := c.Write(first); err != nil {
			t.Fatalf("connection %d: %v", len(all), err)
		}
	}
	return all
}

func (c crowd) close() {
	for _, conn := range c {
		_ = conn.Close()
	}
}

// closedBy fails the test unless the relay ends every connection within this time. What it says before is ignored.
func (c crowd) closedBy(t *testing.T, within time.Duration) {
	t.Helper()
	deadline := time.Now().Add(within)
	var buf [4096]byte
	for i, conn := range c {
		must(t, "deadline", conn.SetReadDeadline(deadline))
		for {
			_, err := conn.Read(buf[:])
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatalf("connection %d of %d is still open after %v", i, len(c), within)
			}
			if err != nil {
				break
			}
		}
	}
}
