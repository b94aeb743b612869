package e2e

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// abuseSettings end handshakes and silent connections soon.
var abuseSettings = []string{
	"SMP_TLS_TIMEOUT=2s", "SMP_HANDSHAKE_TIMEOUT=2s", "SMP_INACTIVE_TTL=2s", "SMP_INACTIVE_INTERVAL=200ms",
}

// closeTime is in which the relay ends connections with abuseSettings.
const closeTime = 15 * time.Second

// memoryRoom is what abuse may add to the memory of a relay that idles.
const memoryRoom = 128 << 20

// watch checks that the relay goes on answering an ordinary client, and how much memory it takes.
type watch struct {
	relay  *relay.Relay
	client *client.Client
	queue  *client.Queue // keeps the client from being inactive
	before int64
}

func newWatch(t *testing.T, r *relay.Relay) *watch {
	t.Helper()
	w := &watch{relay: r, client: dial(t, r, client.Options{})}
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	var err error
	w.queue, err = w.client.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: true})
	must(t, "NEW", err)
	u, err := r.Usage()
	if err != nil {
		t.Skipf("no usage: %v", err)
	}
	w.before = u.RSS
	return w
}

// check sends a message to itself and takes it.
func (w *watch) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	must(t, "SEND of an ordinary client", w.client.Send(ctx, w.queue.SenderID, noKey, false, []byte("still there?")))
	m, err := receiveMessage(ctx, w.client, w.queue)
	must(t, "MSG of an ordinary client", err)
	_, err = w.client.Acknowledge(ctx, w.queue, m.ID)
	must(t, "ACK of an ordinary client", err)
	u, err := w.relay.Usage()
	must(t, "usage", err)
	if more := u.RSS - w.before; more > memoryRoom {
		t.Errorf("the relay takes %d MiB more than before", more>>20)
	} else {
		t.Logf("the relay takes %.1f MiB, %+.1f MiB", mib(u.RSS), mib(more))
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// TestSilence opens connections that stop at each step, hundreds at a time, and expects the relay to end them.
func TestSilence(t *testing.T) {
	r := startRelay(t, abuseSettings...)
	w := newWatch(t, r)
	var half [transport.MaxPlainPayload / 2]byte
	cases := []struct {
		name string
		open func(t *testing.T) crowd
	}{
		{"no byte", func(t *testing.T) crowd { return newCrowd(t, r, 300, nil) }},
		{"a part of a ClientHello", func(t *testing.T) crowd {
			return newCrowd(t, r, 300, []byte{22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3})
		}},
		{"TLS and no hello", func(t *testing.T) crowd {
			return crowdOf(50, func() net.Conn { return tlsOnly(t, r).Conn })
		}},
		{"half a hello", func(t *testing.T) crowd {
			return crowdOf(50, func() net.Conn {
				c := tlsOnly(t, r).Conn
				_, err := c.Write(half[:])
				must(t, "write", err)
				return c
			})
		}},
		{"no command", func(t *testing.T) crowd {
			return crowdOf(50, func() net.Conn { return dialConn(t, r, client.Options{}).Session().Conn })
		}},
		{"half a block", func(t *testing.T) crowd {
			return crowdOf(50, func() net.Conn {
				c := dialConn(t, r, client.Options{})
				must(t, "write", c.WriteRaw(half[:]))
				return c.Session().Conn
			})
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			all := c.open(t)
			w.check(t)
			all.closedBy(t, closeTime)
			w.check(t)
		})
	}
}

func crowdOf(n int, open func() net.Conn) crowd {
	all := make(crowd, n)
	for i := range all {
		all[i] = open()
	}
	return all
}

// tlsOnly is a connection after the TLS handshake, before any hello was read or written.
func tlsOnly(t *testing.T, r *relay.Relay) *transport.Session {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", r.Port))
	must(t, "connect", err)
	session, err := transport.ClientHandshake(ctx, raw, transport.ClientConfig{
		Fingerprint: fingerprint(t, r), ALPN: []string{transport.ALPN},
	})
	must(t, "TLS", err)
	t.Cleanup(func() { _ = session.Conn.Close() })
	return session
}

// TestGarbageInsteadOfTLS sends random bytes, all kinds of records with random content, and another protocol.
func TestGarbageInsteadOfTLS(t *testing.T) {
	r := startRelay(t, abuseSettings...)
	w := newWatch(t, r)
	garbage := func(n int) []byte {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		return b
	}
	firsts := [][]byte{[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), {0}, {}}
	for kind := byte(20); kind < 26; kind++ {
		firsts = append(firsts, append([]byte{kind, 3, 3, 0, 200}, garbage(200)...), append([]byte{kind, 3, 1, 255, 255}, garbage(1<<16)...))
	}
	for range 50 {
		firsts = append(firsts, garbage(1000))
	}
	for _, first := range firsts {
		c := newCrowd(t, r, 1, nil)
		_, _ = c[0].Write(first) // it may be cut off in the middle
		c.closedBy(t, closeTime)
		c.close()
	}
	w.check(t)
}

// TestHellosThatAreRefused expects the relay to hang up, without a word, on clients that do not know it or that it
// does not understand.
//
// Spec: smp.md 4.2
func TestHellosThatAreRefused(t *testing.T) {
	r := startRelay(t)
	own := fingerprint(t, r)
	hash := own[:]
	other := make([]byte, len(hash))
	hello := func(v wire.Version, keyHash []byte) []byte {
		return smp.ClientHello{Version: v, KeyHash: keyHash}.AppendTo(nil)
	}
	cases := []struct {
		name  string
		hello []byte
	}{
		{"version 0", hello(0, hash)},
		{"version 5", hello(5, hash)},
		{"version 19", hello(19, hash)},
		{"version 65535", hello(65535, hash)},
		{"another relay's key hash", hello(18, other)},
		{"no key hash", hello(18, nil)},
		{"part of the key hash", hello(18, hash[:16])},
		{"nothing", nil},
		{"one byte", []byte{0}},
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			session := tlsOnly(t, r)
			must(t, "deadline", session.Conn.SetDeadline(time.Now().Add(answerTime)))
			blocks := transport.NewBlockConn(session.Conn)
			var block transport.Block
			_, err := blocks.ReadHello(&block)
			must(t, "the relay's hello", err)
			must(t, "hello", blocks.WriteHello(c.hello))
			expectClosed(t, session.Conn)
		})
	}
	dial(t, r, client.Options{})
}

// expectClosed fails the test unless the other side closes the connection without another word.
func expectClosed(t *testing.T, c net.Conn) {
	t.Helper()
	must(t, "deadline", c.SetReadDeadline(time.Now().Add(answerTime)))
	var b [1]byte
	n, err := c.Read(b[:])
	if n != 0 {
		t.Fatal("the relay answered")
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Fatal("the relay keeps the connection")
	}
	if err == nil {
		t.Fatal(io.ErrNoProgress)
	}
}

// TestFlood lets clients that never read send all they can. The relay stops reading from them, and goes on serving.
func TestFlood(t *testing.T) {
	r := startRelay(t)
	w := newWatch(t, r)
	floods := make([]*flood, 20)
	for i := range floods {
		floods[i] = newFlood(t, r)
	}
	w.holdsOut(t, floods)
}

// TestFloodOfMessages is one whose answers are as large as they can be: each block asks for many messages.
func TestFloodOfMessages(t *testing.T) {
	const queues, connections = 100, 10
	r := startRelay(t)
	w := newWatch(t, r)
	ctx := bounded(t)
	c := dial(t, r, speaking(smp.MaxVersion))
	all := createMany(ctx, t, c, queues)
	body := make([]byte, smp.MaxBody(smp.MaxVersion))
	for _, q := range all {
		must(t, "SEND", c.Send(ctx, q.SenderID, noKey, false, body))
	}
	floods := make([]*flood, connections)
	for i := range floods {
		floods[i] = floodWith(t, r, func() []*client.Request {
			block := make([]*client.Request, queues)
			for i, q := range all {
				block[i] = &client.Request{Command: smp.GET{}, Entity: q.RecipientID, Key: q.Key}
			}
			return block
		})
	}
	w.holdsOut(t, floods)
}

// holdsOut waits until the relay reads no more from any of the floods, and checks that it serves others all along.
func (w *watch) holdsOut(t *testing.T, floods []*flood) {
	t.Helper()
	w.check(t)
	eventually(t, time.Minute, "the relay reads no more", func() bool {
		stuck := 0
		for _, f := range floods {
			if f.stuck() {
				stuck++
			}
		}
		return stuck == len(floods)
	})
	w.check(t)
	for _, f := range floods {
		_ = f.conn.Close()
	}
	w.check(t)
}
