package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandshakeEnds has peers that never finish; synctest sees to it that the time is exact and that no goroutine
// stays.
func TestHandshakeEnds(t *testing.T) {
	hello := clientHello(t)
	for _, c := range []struct {
		name string
		peer func(conn net.Conn)
		want time.Duration
		kind string
	}{
		{"silence", func(net.Conn) {}, HandshakeTimeout, "timeout"},
		{"half a hello", func(conn net.Conn) { conn.Write(hello[:len(hello)/2]) }, HandshakeTimeout, "timeout"},
		{"hello, not reading", func(conn net.Conn) { conn.Write(hello) }, HandshakeTimeout, "timeout"},
		{"hello, no finish", func(conn net.Conn) {
			conn.Write(hello)
			io.Copy(io.Discard, conn)
		}, HandshakeTimeout, "timeout"},
		{"a byte each second", func(conn net.Conn) {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for _, b := range hello {
				<-tick.C
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
			}
		}, HandshakeTimeout, "timeout"},
		{"garbage", func(conn net.Conn) { conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, 0, "not tls"},
		{"closed", func(conn net.Conn) {
			synctest.Wait() // for the relay to read
			conn.Close()
		}, 0, "closed by peer"},
		{"closed within a hello", func(conn net.Conn) {
			conn.Write(hello[:len(hello)/2])
			conn.Close()
		}, 0, "cut off by peer"},
	} {
		for engine, relay := range engines(newIdentity(t)) {
			t.Run(c.name+", "+engine, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					server, peer := net.Pipe()
					var wg sync.WaitGroup
					wg.Go(func() { c.peer(peer) })
					start := time.Now()
					session, err := relay(t.Context(), server)
					if err == nil || session != nil || time.Since(start) != c.want || Safe(err) != c.kind {
						t.Errorf("%v after %v", Safe(err), time.Since(start))
					}
					if _, err := server.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("not closed: %v", err)
					}
					peer.Close()
					wg.Wait()
				})
			})
		}
	}
}

// clientHello returns the first record an app sends.
func clientHello(t *testing.T) []byte {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close()
	go tls.Client(client, clientConfig([]string{ALPN})).Handshake()
	buf := make([]byte, 4096)
	n, err := server.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

func TestHandshakeContext(t *testing.T) {
	id := newIdentity(t)
	for engine, relay := range engines(id) {
		t.Run("deadline, "+engine, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, peer := net.Pipe()
				defer peer.Close()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				_, err := relay(ctx, server)
				if Safe(err) != "timeout" || time.Since(start) != time.Second {
					t.Errorf("%v after %v", Safe(err), time.Since(start))
				}
			})
		})
		t.Run("no deadline afterwards, "+engine, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clientRaw, serverRaw := net.Pipe()
				cfg := ClientConfig{Fingerprint: id.Fingerprint(), Now: func() time.Time { return id.Expires().AddDate(-1, 0, 0) }}
				client, server := runBoth(t, clientRaw, serverRaw, connect(cfg), relay)
				if client.err != nil || server.err != nil {
					t.Fatal(client.err, server.err)
				}
				timer := time.AfterFunc(2*HandshakeTimeout, func() { client.session.Conn.Write([]byte("late")) })
				defer timer.Stop()
				got := make([]byte, 4)
				if _, err := io.ReadFull(server.session.Conn, got); err != nil || string(got) != "late" {
					t.Errorf("%q %v", got, err)
				}
				clientRaw.Close()
				serverRaw.Close()
			})
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			client, peer := net.Pipe()
			defer peer.Close()
			ctx, cancel := context.WithCancel(t.Context())
			failed := make(chan error)
			go func() {
				_, err := ClientHandshake(ctx, client, ClientConfig{})
				failed <- err
			}()
			synctest.Wait()
			cancel()
			if err := <-failed; Safe(err) != "canceled" {
				t.Error(Safe(err))
			}
		})
	})
}

// TestWiped looks at what was kept of handshakes that succeed and that fail at different steps.
func TestWiped(t *testing.T) {
	id := newIdentity(t)
	for _, c := range []struct {
		name   string
		client *tls.Config
		failed bool
	}{
		{"success", &tls.Config{InsecureSkipVerify: true}, false},
		{"success with TLS 1.2", &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}, false},
		{"refused by the client", &tls.Config{RootCAs: nil, ServerName: "relay.example"}, true},
		{"no version in common", &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			clientRaw, serverRaw := tcpPair(t)
			var spies [2]*spy
			side := func(i int, from direction, handshake func(*binding) *tls.Conn) func(context.Context, net.Conn) (*Session, error) {
				return func(ctx context.Context, raw net.Conn) (*Session, error) {
					b := newBinding(raw, from)
					spies[i] = &spy{Conn: raw, kept: b.kept}
					b.Conn = spies[i]
					return shake(ctx, b, handshake(b))
				}
			}
			client, server := runBoth(t, clientRaw, serverRaw,
				side(0, clientWrites, func(b *binding) *tls.Conn { return tls.Client(b, b.config(c.client)) }),
				side(1, clientReads, func(b *binding) *tls.Conn { return tls.Server(b, b.serverConfig(ServerConfig(id))) }))
			if (client.err != nil) != c.failed || (server.err != nil) != c.failed {
				t.Fatalf("client: %v, server: %v", client.err, server.err)
			}
			for i, s := range spies {
				if s.kept.secret != [maxSecret]byte{} || s.kept.secretLen != 0 || s.kept.records != nil {
					t.Errorf("side %d: secret or records left", i)
				}
				for _, seen := range s.seen {
					if bytes.Count(seen, []byte{0}) != len(seen) {
						t.Errorf("side %d: records not overwritten", i)
					}
				}
				if s.secrets == 0 && !c.failed && !strings.Contains(c.name, "1.2") {
					t.Errorf("side %d: the spy saw nothing", i)
				}
			}
		})
	}
}

// spy remembers the memory in which a transcript keeps records.
type spy struct {
	net.Conn
	kept    *transcript
	seen    [][]byte
	secrets int
}

func (s *spy) look() {
	if len(s.kept.records) > 0 {
		s.seen = append(s.seen, s.kept.records)
	}
	if s.kept.secretLen > 0 {
		s.secrets++
	}
}

func (s *spy) Read(p []byte) (int, error) {
	s.look()
	return s.Conn.Read(p)
}

func (s *spy) Write(p []byte) (int, error) {
	s.look()
	return s.Conn.Write(p)
}

func (s *spy) SetDeadline(t time.Time) error {
	s.look()
	return s.Conn.SetDeadline(t)
}

func (s *spy) Close() error {
	s.look()
	return s.Conn.Close()
}

// TestReadsEndWithRecords checks that reading stays within records, however they arrive: crypto/tls keeps the largest
// buffer that one read took.
func TestReadsEndWithRecords(t *testing.T) {
	block := func(n int) []byte {
		return append([]byte{recordApplication, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	stream := slices.Concat(block(16401), block(16401), block(16640), block(30), block(0), block(16401))
	for _, piece := range []int{1, 4, 5, 1000, 16406, 1 << 20} {
		inner, peer := net.Pipe()
		go func() {
			for part := range slices.Chunk(stream, piece) {
				_, _ = peer.Write(part)
			}
			peer.Close()
		}()
		b := newBinding(inner, clientReads)
		b.stop()
		var got []byte
		p := make([]byte, 1<<16)
		for {
			n, err := b.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
			if n > blockRecord {
				t.Fatalf("pieces of %d: a read of %d bytes", piece, n)
			}
			for _, end := range []int{blockRecord, 2 * blockRecord, 2*blockRecord + recordHeader + 16640} {
				if len(got)-n < end && end < len(got) {
					t.Fatalf("pieces of %d: a read across the end of a record, to %d", piece, len(got))
				}
			}
		}
		if !bytes.Equal(got, stream) {
			t.Fatalf("pieces of %d: other bytes than were sent", piece)
		}
	}
}
