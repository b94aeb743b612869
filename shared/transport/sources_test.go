package transport

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"sotto/shared/limit"
)

// from is a connection whose other side has an address.
type from struct {
	net.Conn
	ip string
}

func (f from) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.ip), Port: 1} }

// dialFrom is dial with the address of who dials.
func (q *queue) dialFrom(t *testing.T, ip string) net.Conn {
	t.Helper()
	near, far := net.Pipe()
	t.Cleanup(func() { far.Close() })
	q.conns <- from{near, ip}
	return far
}

func TestConnectionsPerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := limit.NewArrivals(2, 0)
		q, other := newQueue(), newQueue()
		l, second := NewListener(q, Limits{Sources: sources}), NewListener(other, Limits{Sources: sources})
		defer l.Close()
		defer second.Close()
		accepted, acceptedToo := acceptAll(l), acceptAll(second)
		q.dialFrom(t, "192.0.2.1")
		other.dialFrom(t, "192.0.2.1")
		synctest.Wait()
		refused := q.dialFrom(t, "::ffff:192.0.2.1")
		neighbour := q.dialFrom(t, "192.0.2.2")
		synctest.Wait()
		if !closedByPeer(refused) || closedByPeer(neighbour) {
			t.Error("the third of one source is not refused, or another is")
		}
		first := <-accepted
		if first.Source() != limit.Of(first.RemoteAddr()) {
			t.Error("the connection tells another source")
		}
		first.Established()
		first.Close()
		first.Close()
		again, tooMany := q.dialFrom(t, "192.0.2.1"), q.dialFrom(t, "192.0.2.1")
		synctest.Wait()
		if closedByPeer(again) || !closedByPeer(tooMany) {
			t.Error("not one for one that has gone")
		}
		if got := l.Stats(); got.Connections != 2 || got.Refused != 0 || got.Crowded != 2 {
			t.Errorf("%+v", got)
		}
		if len(acceptedToo) != 1 {
			t.Error("the other listener accepted", len(acceptedToo))
		}
	})
}

// TestLocalSourcesAreNotLimited has Tor and proxies, behind which everybody has one address.
func TestLocalSourcesAreNotLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		l := NewListener(q, Limits{Sources: limit.NewArrivals(1, 1)})
		defer l.Close()
		accepted := acceptAll(l)
		for _, ip := range []string{"127.0.0.1", "::1", "172.18.0.1", "fd00::1"} {
			for range 20 {
				if far := q.dialFrom(t, ip); closedByPeer(far) {
					t.Fatalf("%s is refused", ip)
				}
			}
		}
		synctest.Wait()
		if len(accepted) != 80 {
			t.Errorf("%d accepted", len(accepted))
		}
	})
}

func TestHandshakesPerSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := limit.NewArrivals(0, 1)
		q := newQueue()
		l := NewListener(q, Limits{Sources: sources})
		defer l.Close()
		go func() {
			for c := range acceptAll(l) {
				c.Close()
			}
		}()
		for range 15 {
			q.dialFrom(t, "2001:db8::1")
			synctest.Wait()
		}
		if got := l.Stats(); got.TooFast != 5 || got.Crowded != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// TestSourceLeavesWithTheListener closes a listener while somebody waits for a place.
func TestSourceLeavesWithTheListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := limit.NewArrivals(2, 0)
		q := newQueue()
		l := NewListener(q, Limits{Handshakes: 1, Sources: sources})
		accepted := acceptAll(l)
		q.dialFrom(t, "192.0.2.1")
		q.dialFrom(t, "192.0.2.1")
		synctest.Wait()
		l.Close()
		(<-accepted).Close()
		synctest.Wait()
		source := limit.Of(from{ip: "192.0.2.1"}.RemoteAddr())
		for range 2 {
			if err := sources.Enter(source); err != nil {
				t.Errorf("who has gone is still counted: %v", err)
			}
		}
	})
}

// dialBehindProxy connects with a header, and returns both ends.
func dialBehindProxy(t *testing.T, l *Listener, header string) (near *Conn, far net.Conn) {
	t.Helper()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	if _, err := io.WriteString(far, header+"."); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*Conn), far
}

// TestSourcesBehindProxy has clients that a proxy tells apart, and others that it does not.
func TestSourcesBehindProxy(t *testing.T) {
	sources := limit.NewArrivals(2, 0)
	l, err := ListenBehindProxy(t.Context(), "127.0.0.1:0", Limits{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	admitted := func(header string) bool {
		near, _ := dialBehindProxy(t, l, header)
		_, err := near.Read(make([]byte, 1))
		if err != nil && Safe(err) != "closed" {
			t.Errorf("after %q: %v", header, err)
		}
		return err == nil
	}
	for _, header := range []string{
		"PROXY UNKNOWN\r\n",
		"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00",
		"PROXY TCP6 fc00:dead:beef:4dad::1:2 ::1 1 2\r\n", // Tor
		"PROXY TCP4 10.0.0.1 192.0.2.2 1 2\r\n",
	} {
		for range 5 {
			if !admitted(header) {
				t.Errorf("refused after %q", header)
			}
		}
	}
	for ip := range 3 {
		for i := range 4 {
			if got := admitted(fmt.Sprintf("PROXY TCP4 192.0.2.%d 192.0.2.200 %d 2\r\n", ip, i)); got != (i < 2) {
				t.Errorf("connection %d of source %d: admitted %v", i, ip, got)
			}
		}
	}
	if got := l.Stats(); got.Crowded != 6 || got.Refused != 0 {
		t.Errorf("%+v", got)
	}
	near, _ := dialBehindProxy(t, l, "PROXY TCP4 192.0.2.9 192.0.2.200 1 2\r\n")
	if near.Source().Known() {
		t.Error("a source before the header is read")
	}
	near.Close()
	if _, err := near.Read(make([]byte, 1)); err == nil {
		t.Error("read after a close")
	}
	if near.Source().Known() {
		t.Error("counted after a close")
	}
}

// TestManyBehindProxy has many connections at once, of few sources.
func TestManyBehindProxy(t *testing.T) {
	const each, most = 60, 20
	sources := limit.NewArrivals(most, 0)
	l, err := ListenBehindProxy(t.Context(), "127.0.0.1:0", Limits{Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var mu sync.Mutex
	admitted := make(map[limit.Source]int)
	var wg sync.WaitGroup
	for i := range 3 * each {
		near, _ := dialBehindProxy(t, l, fmt.Sprintf("PROXY TCP4 198.51.100.%d 192.0.2.200 1 2\r\n", i%3))
		wg.Go(func() {
			if _, err := near.Read(make([]byte, 1)); err == nil {
				mu.Lock()
				admitted[SourceOf(NewReplay(near, nil))]++
				mu.Unlock()
			} else if strings.Contains(Safe(err), "198") {
				t.Errorf("an address in %q", Safe(err))
			}
		})
	}
	wg.Wait()
	if len(admitted) != 3 {
		t.Errorf("%d sources", len(admitted))
	}
	for _, n := range admitted {
		if n != most {
			t.Errorf("%d connections of one source", n)
		}
	}
	if got := l.Stats().Crowded; got != 3*(each-most) {
		t.Errorf("%d refused", got)
	}
}
