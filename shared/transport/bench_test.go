package transport

import (
	"context"
	"crypto/tls"
	"net"
	"runtime"
	"testing"

	"sotto/shared/wire"
)

// BenchmarkServerHandshake is what a handshake costs the relay and its client together, with and without what the
// session id takes.
func BenchmarkServerHandshake(b *testing.B) {
	id := newIdentity(b)
	server := ServerConfig(id)
	client := clientConfig([]string{ALPN})
	for _, c := range []struct {
		name           string
		client, server func(context.Context, net.Conn) (*Session, error)
	}{
		{"bound", connectTLS(client), serve(server)},
		{
			"unbound", plainTLS(func(raw net.Conn) *tls.Conn { return tls.Client(raw, client) }),
			plainTLS(func(raw net.Conn) *tls.Conn { return tls.Server(raw, server) }),
		},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				clientRaw, serverRaw := net.Pipe()
				client, server := runBoth(b, clientRaw, serverRaw, c.client, c.server)
				if client.err != nil || server.err != nil {
					b.Fatal(client.err, server.err)
				}
				clientRaw.Close()
				serverRaw.Close()
			}
		})
	}
}

// plainTLS is a handshake without a session id.
func plainTLS(start func(net.Conn) *tls.Conn) func(context.Context, net.Conn) (*Session, error) {
	return func(ctx context.Context, raw net.Conn) (*Session, error) {
		conn := start(raw)
		return &Session{Conn: conn}, conn.HandshakeContext(ctx)
	}
}

// BenchmarkOpenFinished is what the session id takes by itself.
func BenchmarkOpenFinished(b *testing.B) {
	for _, suite := range suites {
		b.Run(tls.CipherSuiteName(suite.id), func(b *testing.B) {
			secret := ascending(1, suite.size)
			s := newSealer(b, suite.id, secret)
			s.seal(message(messageFinished, ascending(100, suite.size)), contentHandshake, 0)
			b.ReportAllocs()
			for b.Loop() {
				kept := keep(s.sent, secret, len(s.sent))
				if _, err := kept.finished(suite.id); err != nil {
					b.Fatal(err)
				}
				kept.wipe()
			}
		})
	}
}

// repeater reads the same bytes again and again and forgets what is written.
type repeater struct {
	net.Conn
	data []byte
	at   int
}

func (r *repeater) Read(p []byte) (int, error) {
	n := copy(p, r.data[r.at:])
	r.at = (r.at + n) % len(r.data)
	return n, nil
}

func (r *repeater) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkReadBlock(b *testing.B) {
	payload := make([]byte, wire.BatchCapacity)
	b.Run("plain", func(b *testing.B) {
		conn := new(memory)
		if err := NewBlockConn(conn).WriteBlock(payload); err != nil {
			b.Fatal(err)
		}
		benchmarkRead(b, NewBlockConn(&repeater{data: conn.out.Bytes()}), func(int) {})
	})
	b.Run("encrypted", func(b *testing.B) {
		const blocks = 64 // after which the chain starts anew
		_, client, _, conn := encryptedPair()
		for range blocks {
			if err := client.WriteBlock(payload); err != nil {
				b.Fatal(err)
			}
		}
		send, recv, _, _ := chains(ascending(1, 32), ascending(2, 32))
		relay := NewBlockConn(&repeater{data: conn.out.Bytes()})
		relay.Encrypt(send, recv)
		benchmarkRead(b, relay, func(i int) {
			if i%blocks == 0 {
				relay.recv = recv
			}
		})
	})
}

// benchmarkRead reads blocks; before is called with the number of each.
func benchmarkRead(b *testing.B, c *BlockConn, before func(i int)) {
	var room Block
	b.ReportAllocs()
	b.SetBytes(wire.BlockSize)
	for i := 0; b.Loop(); i++ {
		before(i)
		if payload, err := c.ReadBlock(&room); err != nil || len(payload) != wire.BatchCapacity {
			b.Fatal(err)
		}
		room.Release()
	}
}

func BenchmarkWriteBlock(b *testing.B) {
	payload := make([]byte, wire.BatchCapacity)
	for name, encrypted := range map[string]bool{"plain": false, "encrypted": true} {
		b.Run(name, func(b *testing.B) {
			c := NewBlockConn(&repeater{})
			if encrypted {
				send, recv, _, _ := chains(ascending(1, 32), ascending(2, 32))
				c.Encrypt(send, recv)
			}
			b.ReportAllocs()
			b.SetBytes(wire.BlockSize)
			for b.Loop() {
				if err := c.WriteBlock(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRoundTrip sends a block to the relay over TLS and loopback and gets one back.
func BenchmarkRoundTrip(b *testing.B) {
	id := newIdentity(b)
	clientRaw, serverRaw := tcpPair(b)
	c, s := runBoth(b, clientRaw, serverRaw, connect(ClientConfig{Fingerprint: id.Fingerprint()}), serve(ServerConfig(id)))
	if c.err != nil || s.err != nil {
		b.Fatal(c.err, s.err)
	}
	relaySend, relayRecv, clientSend, clientRecv := chains(ascending(1, 32), ascending(2, 32))
	relay, client := NewBlockConn(s.session.Conn), NewBlockConn(c.session.Conn)
	relay.Encrypt(relaySend, relayRecv)
	client.Encrypt(clientSend, clientRecv)
	go echo(relay)
	var room Block
	payload := make([]byte, wire.BatchCapacity)
	b.ReportAllocs()
	b.SetBytes(2 * wire.BlockSize)
	for b.Loop() {
		if err := client.WriteBlock(payload); err != nil {
			b.Fatal(err)
		}
		if _, err := client.ReadBlock(&room); err != nil {
			b.Fatal(err)
		}
	}
	room.Release()
	client.Close()
}

// echo sends back what it reads until the connection ends.
func echo(c *BlockConn) {
	var room Block
	for {
		payload, err := c.ReadBlock(&room)
		if err != nil || c.WriteBlock(payload) != nil {
			room.Release()
			return
		}
		room.Release()
	}
}

// BenchmarkIdleMemory reports what a connection that has exchanged a block holds at the relay while it waits for the
// next one. The client's end is reduced to its socket.
func BenchmarkIdleMemory(b *testing.B) {
	const connections = 400
	id := newIdentity(b)
	cfg := ServerConfig(id)
	payload := make([]byte, wire.BatchCapacity)
	for b.Loop() {
		before := inUse()
		sockets := make([]net.Conn, 0, 2*connections)
		for range connections {
			clientRaw, serverRaw := tcpPair(b)
			sockets = append(sockets, clientRaw, serverRaw)
			c, s := runBoth(b, clientRaw, serverRaw, connect(ClientConfig{Fingerprint: id.Fingerprint()}), serve(cfg))
			if c.err != nil || s.err != nil {
				b.Fatal(c.err, s.err)
			}
			go echo(NewBlockConn(s.session.Conn))
			client := NewBlockConn(c.session.Conn)
			var room Block
			if err := client.WriteBlock(payload); err != nil {
				b.Fatal(err)
			}
			if _, err := client.ReadBlock(&room); err != nil {
				b.Fatal(err)
			}
			room.Release()
		}
		b.ReportMetric(float64(inUse()-before)/connections, "B/connection")
		for _, socket := range sockets {
			socket.Close()
		}
	}
}

// inUse returns the bytes of heap and stacks in use after a collection.
func inUse() uint64 {
	runtime.GC()
	runtime.GC() // the first one leaves what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
