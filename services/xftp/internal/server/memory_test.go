package server_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/xftp"
)

// sinkStore takes bodies at the test's pace, and keeps none.
type sinkStore struct {
	server.Store
	tokens chan struct{} // one for each write; nil: as many as there are
}

func (s *sinkStore) Upload(context.Context, *chunk.Chunk) (server.Upload, error) {
	return &sinkUpload{tokens: s.tokens}, nil
}

type sinkUpload struct{ tokens chan struct{} }

func (u *sinkUpload) Write(p []byte) (int, error) {
	if u.tokens != nil {
		<-u.tokens
	}
	return len(p), nil
}
func (*sinkUpload) Commit(context.Context) error { return nil }
func (*sinkUpload) Abort()                       {}

// measures skips a test of memory where the figures would be others.
func measures(t *testing.T) {
	t.Helper()
	if raceEnabled || testing.Short() {
		t.Skip("measures memory")
	}
}

// heap is what is allocated on the heap and still in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) + int64(m.StackInuse)
}

// zeros is the body that all clients of these tests send.
var zeros = make([]byte, 4<<20)

// flood starts uploads of the largest size on connections of their own, and lets the clients send as much as the relay
// takes. It returns when nothing moves any more.
func flood(t *testing.T, s *server.Server, peers []*peer) []*stream {
	t.Helper()
	var files []file
	for _, p := range peers {
		f := p.create(4 << 20)
		f.body = nil // all send the same
		files = append(files, f)
	}
	var streams []*stream
	for i, p := range peers {
		f := files[i]
		st := p.open("POST", nil, false)
		st.send(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), false)
		streams = append(streams, st)
	}
	for _, st := range streams { // not before: what the relay does not read keeps a connection's next head back
		go st.send(zeros, true)
	}
	const patience = 3000
	for still, last, looks := 0, int64(-1), 0; still < 5; looks++ {
		if looks == patience {
			t.Fatalf("uploads do not come to rest; %d bytes are ahead", last)
		}
		time.Sleep(20 * time.Millisecond) // the kernel's buffers are out of the test's sight
		if now := s.Ahead(); now == last && now > 0 {
			still++
		} else {
			still, last = 0, now
		}
	}
	return streams
}

// 64 uploads into a store that takes nothing hold at most 1 MiB each, windows of 4 MiB notwithstanding.
func TestUploadMemory(t *testing.T) {
	measures(t)
	const uploads, each = 64, 1 << 20
	for name, test := range map[string]struct{ memory, most int64 }{
		"each bounded": {1 << 40, uploads * each},
		// The bound for all, and what each has beyond it: its least, a piece, and the buffers of both ends.
		"all bounded": {1 << 20, 1<<20 + uploads*(server.LeastAhead+server.PieceSize+160<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			store := &sinkStore{Store: memstore.New(memstore.Options{}), tokens: make(chan struct{})}
			r := xftptest.Start(t, xftptest.Options{Store: store, Config: func(c *server.Config) { c.UploadMemory = test.memory }})
			var peers []*peer
			for range uploads {
				peers = append(peers, native(t, r))
			}
			idle := heap()
			streams := flood(t, r.Server, peers)
			used := heap() - idle
			t.Logf("%d KB for each upload, %d KB ahead of the store", used/uploads>>10, r.Server.Ahead()/uploads>>10)
			if used > test.most {
				t.Errorf("%d bytes, at most %d", used, test.most)
			}
			close(store.tokens) // from now on the store is fast
			for _, s := range streams {
				must(t, s.wait())
				expect(t, s.p.response(s, s.entity()), "ERR DIGEST")
			}
			if left := r.Server.Ahead(); left != 0 {
				t.Errorf("%d bytes are counted for ever", left)
			}
			for _, p := range peers {
				p.quiet()
			}
		})
	}
}

// entity is that of the answer.
func (s *stream) entity() []byte { return entityOf(s.body) }

// One connection with many uploads is bounded as well.
func TestUploadMemoryOfOne(t *testing.T) {
	measures(t)
	store := &sinkStore{Store: memstore.New(memstore.Options{}), tokens: make(chan struct{})}
	r := xftptest.Start(t, xftptest.Options{Store: store})
	p := native(t, r)
	const uploads = 16
	peers := make([]*peer, uploads)
	for i := range peers {
		peers[i] = p
	}
	idle := heap()
	streams := flood(t, r.Server, peers)
	used := heap() - idle
	t.Logf("%d KB for each upload", used/uploads>>10)
	if most := int64(server.FirstAhead + uploads*(server.NextAhead+server.PieceSize+64<<10)); used > most {
		t.Errorf("%d bytes, at most %d", used, most)
	}
	close(store.tokens)
	for _, s := range streams {
		must(t, s.wait())
	}
	p.quiet()
}

// What a connection holds that does nothing, new or after a transfer each way.
func TestIdleMemory(t *testing.T) {
	measures(t)
	const n = 100
	r := xftptest.Start(t, xftptest.Options{})
	before := heap()
	var peers []*peer
	for range n {
		peers = append(peers, native(t, r))
	}
	fresh := heap() - before
	f := peers[0].create(size)
	expect(t, peers[0].put(f, f.body), "OK")
	for _, p := range peers {
		g := p.create(size)
		expect(t, p.put(g, g.body), "OK")
		expect(t, p.do(g.sender, g.senderID, xftp.FDEL{}, nil), "OK")
		p.ask(f)
		p.mu.Lock()
		p.streams = make(map[uint32]*stream)
		p.mu.Unlock()
	}
	used := heap() - before
	t.Logf("client and relay together: %d KB new, %d KB used", fresh/n>>10, used/n>>10)
	if used > n*200<<10 {
		t.Errorf("%d bytes for each connection", used/n)
	}
}

// slowConn delays what passes by half a round trip in each direction, however much is under way.
type slowConn struct {
	net.Conn
	delay time.Duration
	queue chan late
	err   error
	rest  []byte
}

type late struct {
	b   []byte
	err error
	at  time.Time
}

// slow makes a connection of raw that takes this long each way.
func slow(raw net.Conn, delay time.Duration) net.Conn {
	out := make(chan late, 1<<14)
	c := &slowConn{Conn: raw, delay: delay, queue: make(chan late, 1<<14)}
	go func() {
		for {
			b := make([]byte, 32<<10)
			n, err := raw.Read(b)
			c.queue <- late{b[:n], err, time.Now().Add(delay)}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		for l := range out {
			time.Sleep(time.Until(l.at))
			if _, err := raw.Write(l.b); err != nil {
				return
			}
		}
	}()
	return &slowBoth{c, out}
}

func (c *slowConn) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		l := <-c.queue
		time.Sleep(time.Until(l.at))
		c.rest, c.err = l.b, l.err
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	if n == 0 && c.err != nil {
		return 0, c.err
	}
	return n, nil
}

type slowBoth struct {
	*slowConn
	out chan<- late
}

func (c *slowBoth) Write(p []byte) (int, error) {
	c.out <- late{b: bytes.Clone(p), at: time.Now().Add(c.delay)}
	return len(p), nil
}

// BenchmarkUpload uploads chunks of the largest size, near and at a round trip of 50 ms, to a store that is fast.
func BenchmarkUpload(b *testing.B) {
	for name, delay := range map[string]time.Duration{"near": 0, "50ms": 25 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			r := xftptest.Start(b, xftptest.Options{Store: &sinkStore{Store: memstore.New(memstore.Options{})}})
			c := connectSlow(b, r, delay)
			body, digest := content(4 << 20)
			k := auth.NewEd25519()
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				id, _, err := c.Create(b.Context(), k, 4<<20, digest, keysOf(k))
				must(b, err)
				must(b, c.Upload(b.Context(), id, k, bytes.NewReader(body), 4<<20))
			}
		})
	}
}

// BenchmarkDownload downloads one chunk of the largest size, near and at a round trip of 50 ms.
func BenchmarkDownload(b *testing.B) {
	for name, delay := range map[string]time.Duration{"near": 0, "50ms": 25 * time.Millisecond} {
		b.Run(name, func(b *testing.B) {
			r := xftptest.Start(b, xftptest.Options{})
			f := upload(b, r.Connect(b, client.Options{}), 4<<20)
			c := connectSlow(b, r, delay)
			b.SetBytes(int64(len(f.body)))
			b.ReportAllocs()
			for b.Loop() {
				must(b, c.Download(b.Context(), f.id, f.recipient, 4<<20, nil, io.Discard))
			}
		})
	}
}

// connectSlow connects a client at a distance.
func connectSlow(b *testing.B, r *xftptest.Relay, delay time.Duration) *client.Client {
	b.Helper()
	dialer := r.Dialer
	if delay > 0 {
		dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			raw, err := r.Dialer(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return slow(raw, delay), nil
		}
	}
	c, err := client.Dial(b.Context(), r.Address(), client.Options{Dialer: dialer})
	must(b, err)
	b.Cleanup(func() { _ = c.Close() })
	return c
}

// wireSpeed is the same over a bare connection, which the rest can be compared with.
func BenchmarkBare(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	defer ln.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := ln.Accept()
		if err == nil {
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	})
	c, err := net.Dial("tcp", ln.Addr().String())
	must(b, err)
	body := make([]byte, 4<<20)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		_, err := c.Write(body)
		must(b, err)
	}
	_ = c.Close()
}
