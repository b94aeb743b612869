package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/relay"
	"sotto/shared/smp"
)

// comingFrom are the options of a client that a proxy before this port announces with a header.
func comingFrom(port, header string) client.Options {
	return client.Options{Dialer: func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, port)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(conn, header+"\r\n"); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return conn, nil
	}}
}

// header names a client, of IPv4 or IPv6.
func header(ip string) string {
	if strings.Contains(ip, ":") {
		return "PROXY TCP6 " + ip + " 2001:db8::1 40000 443"
	}
	return "PROXY TCP4 " + ip + " 192.0.2.1 40000 443"
}

// tryDial connects a client that may be refused.
func tryDial(t *testing.T, r *relay.Relay, o client.Options) (*client.Client, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c, err := client.Dial(ctx, server(t, r), o)
	if err == nil {
		t.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

// TestConnectionsOfOneSource has clients from addresses that a proxy tells, to both ports. What the relay does with the
// addresses must not show in its log.
func TestConnectionsOfOneSource(t *testing.T) {
	relayBinary(t)
	const most = 3
	front := "127.0.0.1:" + freePort(t)
	r := startRelay(t, "SMP_PROXY_PROTOCOL=true", "SMP_FRONT_LISTEN="+front, "SMP_ACME=false",
		fmt.Sprintf("SMP_MAX_CONNECTIONS_PER_SOURCE=%d", most))
	ports := []string{"127.0.0.1:" + r.Port, front}
	w := relay.NewWitness()
	for i, ip := range []string{"198.51.100.77", "2001:db8:77:88::99"} {
		w.Saw("an address", []byte(ip))
		w.Saw("an address", net.ParseIP(ip))
		var first *client.Client
		for n := range 2 * most {
			c, err := tryDial(t, r, comingFrom(ports[n%2], header(ip)))
			if (err == nil) != (n < most) {
				t.Fatalf("connection %d of source %d: %v", n, i, err)
			}
			if n == 0 {
				first = c
			}
		}
		must(t, "leave", first.Close())
		eventually(t, answerTime, "a place for one that has left", func() bool {
			_, err := tryDial(t, r, comingFrom(front, header(ip)))
			return err == nil
		})
	}
	// Tor, a second proxy, and one that speaks for itself: many clients who have nothing in common.
	for _, text := range []string{header("fc00:dead:beef:4dad::1:2"), header("10.1.2.3"), "PROXY UNKNOWN"} {
		for n := range 2 * most {
			if _, err := tryDial(t, r, comingFrom(ports[n%2], text)); err != nil {
				t.Errorf("refused after %q: %v", text, err)
			}
		}
	}
	command(t, r.Env, "health").expect(t, exitOK, "ready")
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	w.Check(t, r)
}

// TestHandshakesOfOneSource connects and leaves, again and again.
func TestHandshakesOfOneSource(t *testing.T) {
	r := startRelay(t, "SMP_PROXY_PROTOCOL=true", "SMP_HANDSHAKE_RATE=1")
	port := "127.0.0.1:" + r.Port
	connected := 0
	for range 30 { // of which ten have been saved up
		if c, err := tryDial(t, r, comingFrom(port, header("198.51.100.77"))); err == nil {
			connected++
			must(t, "leave", c.Close())
		}
	}
	if connected < 10 || connected == 30 {
		t.Errorf("connected %d times", connected)
	}
	if _, err := tryDial(t, r, comingFrom(port, header("198.51.100.78"))); err != nil {
		t.Errorf("another source: %v", err)
	}
}

// TestLocalClientsAreNotLimited connects without a proxy, from this machine, like Tor.
func TestLocalClientsAreNotLimited(t *testing.T) {
	r := startRelay(t, "SMP_MAX_CONNECTIONS_PER_SOURCE=1", "SMP_HANDSHAKE_RATE=1")
	for range 20 {
		dial(t, r, client.Options{})
	}
}

// createUpTo creates queues until that is refused, at most n.
func createUpTo(t *testing.T, c *client.Client, n int) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	for made := range n {
		if _, err := c.NewQueue(ctx, client.QueueOptions{}); err != nil {
			return made
		}
	}
	return n
}

// TestNewOfOneSource creates queues from several connections of one source, and from others. Some come through the front
// door, and some of these end their TLS there.
func TestNewOfOneSource(t *testing.T) {
	relayBinary(t)
	front := "127.0.0.1:" + freePort(t)
	r := startRelay(t, "SMP_PROXY_PROTOCOL=true", "SMP_FRONT_LISTEN="+front, "SMP_ACME=false", "SMP_NEW_RATE=1")
	port := "127.0.0.1:" + r.Port
	source := header("198.51.100.77")
	old := comingFrom(front, source)
	old.ALPN = []string{}
	roads := []client.Options{comingFrom(port, source), comingFrom(front, source), old}
	made := 0
	for i := range 12 {
		n := createUpTo(t, dial(t, r, roads[i%len(roads)]), 10)
		if n > 9 {
			t.Error("a connection has no bound of its own")
		}
		made += n
	}
	if made < 10 || made >= 20 { // ten have been saved up, and each connection could make two
		t.Errorf("%d queues from one source", made)
	}
	for _, text := range []string{header("198.51.100.78"), "PROXY UNKNOWN", "PROXY UNKNOWN"} {
		if n := createUpTo(t, dial(t, r, comingFrom(port, text)), 10); n == 0 || n > 9 {
			t.Errorf("%d queues from others, after %q", n, text)
		}
	}
}

// TestFullRelay has as many queues as there may be, also after a restart.
func TestFullRelay(t *testing.T) {
	r := startRelay(t, "SMP_MAX_QUEUES=3")
	c := dial(t, r, client.Options{})
	ctx := bounded(t)
	q, err := c.NewQueue(ctx, client.QueueOptions{})
	must(t, "NEW", err)
	if n := createUpTo(t, c, 10); n != 2 {
		t.Errorf("%d queues more", n)
	}
	c = restart(t, r, client.Options{})
	if n := createUpTo(t, c, 1); n != 0 {
		t.Error("a queue more after a restart")
	}
	k := q.Key
	expectRefusal(t, "NEW", request(t, dialConn(t, r, client.Options{}), client.Request{
		Command: smp.NEW{AuthKey: k.Public(), DHKey: auth.NewX25519().Public()}, Key: k,
	}), smp.ErrAuth)
	must(t, "DEL", c.Delete(ctx, q))
	if n := createUpTo(t, c, 10); n != 1 {
		t.Errorf("%d queues after one was deleted", n)
	}
}
