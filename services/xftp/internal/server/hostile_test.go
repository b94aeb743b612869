package server_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/http2"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/xftp"
)

// Clients that mean harm cost themselves their connection, and nobody else anything.
func TestHostile(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{Web: xftptest.ECDSA, Quota: 8 << 20})
	good := native(t, r)
	well := func(t *testing.T) {
		t.Helper()
		f := good.create(size)
		expect(t, good.put(f, f.body), "OK")
		expect(t, good.do(f.sender, f.senderID, xftp.FDEL{}, nil), "OK")
		good.quiet()
		if used := r.Store.Usage(); used.Bytes != 0 || used.Reserved != 0 {
			t.Errorf("usage %+v", used)
		}
	}
	t.Run("endless bodies", func(t *testing.T) {
		for name, begin := range map[string]func(p *peer) []byte{
			"upload": func(p *peer) []byte {
				f := p.create(size)
				return append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body...)
			},
			"command": func(p *peer) []byte { return p.head(auth.Key{}, nil, nil, xftp.PING{}) },
			"nothing": func(*peer) []byte { return nil },
		} {
			t.Run(name, func(t *testing.T) {
				p := native(t, r)
				s := p.open("POST", nil, false)
				s.send(begin(p), false)
				go func() {
					for range 100 {
						s.send(zeros, false)
					}
				}()
				if err := p.closed(); err == nil {
					t.Error("it goes on")
				}
			})
		}
		for _, method := range []string{http.MethodOptions, http.MethodGet} {
			p := browser(t, r)
			s := p.open(method, nil, false)
			go s.send(append(zeros, zeros...), false)
			_ = p.closed()
		}
		well(t)
	})
	t.Run("more streams than allowed", func(t *testing.T) {
		p := native(t, r)
		var streams []*stream
		for range server.MaxStreams + 50 {
			streams = append(streams, p.open("POST", nil, false))
		}
		for _, s := range streams[server.MaxStreams:] {
			if err := s.wait(); err == nil {
				t.Error("it was answered")
			}
		}
		well(t)
	})
	t.Run("thousands of streams, reset at once", func(t *testing.T) {
		p := native(t, r)
		for range 5000 {
			s := p.open("POST", nil, false)
			p.write(func() error { return p.framer.WriteRSTStream(s.id, http2.ErrCodeCancel) })
		}
		well(t)
	})
	t.Run("reset in mid-upload", func(t *testing.T) {
		p := native(t, r)
		f := p.create(1 << 20)
		for range 20 {
			s := p.open("POST", nil, false)
			s.send(append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body[:500_000]...), false)
			p.write(func() error { return p.framer.WriteRSTStream(s.id, http2.ErrCodeCancel) })
		}
		// What the resets leave behind goes soon, so there is room.
		expect(t, p.put(f, f.body), "OK")
		expect(t, p.do(f.sender, f.senderID, xftp.FDEL{}, nil), "OK")
		p.quiet()
		well(t)
	})
	t.Run("gone in mid-upload", func(t *testing.T) {
		p := native(t, r)
		f := p.create(4 << 20)
		s := p.open("POST", nil, false)
		s.send(append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body[:3_000_000]...), false)
		_ = p.session.Conn.Close()
		eventually(t, func() bool { return r.Store.Usage().Reserved == 0 })
		well(t)
	})
	t.Run("gone in mid-download", func(t *testing.T) {
		p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}, window: 100_000})
		p.handshake(3)
		f := p.create(4 << 20)
		expect(t, p.put(f, f.body), "OK")
		s := p.open("POST", nil, false)
		s.send(p.head(f.recipient, nil, f.id, xftp.FGET{Key: auth.NewX25519().Public()}), true)
		_ = p.session.Conn.Close()
		c := r.Connect(t, client.Options{})
		must(t, f.get(t.Context(), c))
		must(t, c.Delete(t.Context(), f.senderID, f.sender))
		well(t)
	})
	t.Run("headers without end", func(t *testing.T) {
		p := native(t, r)
		big := strings.Repeat("x", 10_000)
		s := p.open("POST", []string{"a", big, "b", big, "c", big}, true)
		if err := s.wait(); err == nil && s.status != "431" {
			t.Errorf("status %s", s.status)
		}
		p = native(t, r)
		p.wmu.Lock()
		_ = p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 101, BlockFragment: bytes.Repeat([]byte{0}, 1000)})
		p.wmu.Unlock()
		go func() {
			for range 10_000 {
				p.write(func() error { return p.framer.WriteContinuation(101, false, make([]byte, 1000)) })
			}
		}()
		_ = p.closed()
		well(t)
	})
	t.Run("pings without end, answers not read", func(t *testing.T) {
		session, err := dialTLS(t, r, connection{alpn: []string{xftp.ALPN}})
		must(t, err)
		var b bytes.Buffer
		b.WriteString(http2.ClientPreface)
		f := http2.NewFramer(&b, nil)
		must(t, f.WriteSettings())
		for range 1000 {
			must(t, f.WritePing(false, [8]byte{}))
		}
		must(t, session.Conn.SetWriteDeadline(time.Now().Add(10*time.Second)))
		for range 1000 {
			if _, err = session.Conn.Write(b.Bytes()[len(http2.ClientPreface):]); err != nil {
				break
			}
			b = *bytes.NewBuffer(b.Bytes())
		}
		_ = session.Conn.Close()
		well(t)
	})
	t.Run("no HTTP/2", func(t *testing.T) {
		session, err := dialTLS(t, r, connection{alpn: []string{xftp.ALPNHTTP1}})
		must(t, err)
		_, _ = session.Conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat(" ", 100)))
		for b := make([]byte, 1000); err == nil; {
			_, err = session.Conn.Read(b)
		}
		well(t)
	})
}

// eventually waits for what happens on other goroutines, that nothing tells about.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not happen")
		}
	}
}

// Registrations without uploads are bounded on one connection.
//
// Spec: xftp.md 15.2
func TestUnsentChunks(t *testing.T) {
	s := bareServer(t, &registerStore{Store: memstore.New(memstore.Options{})})
	h := s.Handler(make([]byte, 32), "", false)
	p := &peer{t: t, session: dummySession(), key: auth.NewX25519().Public()}
	k := auth.NewEd25519()
	_, digest := content(size)
	head := p.head(k, nil, nil, xftp.FNEW{
		File: xftp.FileInfo{SenderKey: k.Public(), Size: size, Digest: digest}, Recipients: keysOf(k),
	})
	for range server.MaxUnsent {
		ask(h, nil, head)
	}
	w := ask(h, nil, head)
	got, err := xftp.ParseBlock(w.Body.Bytes(), p.session.ID)
	must(t, err)
	if string(got.Command) != "ERR QUOTA" {
		t.Errorf("got %q", got.Command)
	}
	other := s.Handler(make([]byte, 32), "", false)
	w = ask(other, nil, head)
	got, err = xftp.ParseBlock(w.Body.Bytes(), p.session.ID)
	must(t, err)
	if !strings.HasPrefix(string(got.Command), "SIDS ") {
		t.Errorf("got %q on another connection", got.Command)
	}
}

// registerStore registers chunks nowhere.
type registerStore struct{ server.Store }

func (*registerStore) Create(context.Context, *chunk.Chunk, []chunk.Recipient) error { return nil }

// takenStore has no free ids, until it has.
type takenStore struct {
	server.Store
	taken, tried int
}

func (s *takenStore) Create(ctx context.Context, c *chunk.Chunk, recipients []chunk.Recipient) error {
	if s.tried++; s.tried <= s.taken {
		return chunk.ErrExists
	}
	return s.Store.Create(ctx, c, recipients)
}

// Ids that are taken are drawn again, three times in all.
//
// Spec: xftp.md 8.1
func TestTakenIDs(t *testing.T) {
	for taken, want := range map[int]string{0: "SIDS", 2: "SIDS", 3: "ERR INTERNAL"} {
		store := &takenStore{Store: memstore.New(memstore.Options{}), taken: taken}
		p := native(t, xftptest.Start(t, xftptest.Options{Store: store}))
		k := auth.NewEd25519()
		response := wireText(p.do(k, nil, xftp.FNEW{File: xftp.FileInfo{SenderKey: k.Public(), Size: size}, Recipients: keysOf(k)}, nil))
		if !strings.HasPrefix(response, want) {
			t.Errorf("%d times taken: %.12q", taken, response)
		}
	}
}

// A broken invariant ends one connection, and is told without what the client sent.
func TestPanic(t *testing.T) {
	var log safeBuffer
	logger := zerolog.New(&log)
	const secret = "corr-id-of-the-panic"
	r := xftptest.Start(t, xftptest.Options{Log: &logger, Prepare: func(s *server.Server) { s.BreakVerification(secret) }})
	good, bad := native(t, r), native(t, r)
	k := auth.NewEd25519()
	for range 3 {
		s := bad.open("POST", nil, false)
		s.send(bad.head(k, []byte(secret), make([]byte, 16), xftp.FDEL{}), true)
	}
	if err := bad.closed(); err == nil {
		t.Error("the connection goes on")
	}
	expect(t, good.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
	eventually(t, func() bool { return strings.Contains(log.String(), "this is a bug") })
	if text := log.String(); strings.Count(text, "this is a bug") != 1 || strings.Contains(text, secret) ||
		!strings.Contains(text, "BreakVerification") {
		t.Errorf("log: %s", text)
	}
	good.quiet()
}

// safeBuffer is a buffer for several goroutines.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Stopping lets transfers finish, cuts off what takes too long, and turns everybody else away.
func TestShutdown(t *testing.T) {
	t.Run("lets requests finish", func(t *testing.T) {
		m := newMeeting()
		store := &gateStore{Store: memstore.New(memstore.Options{}), onCommit: func(chunk.ID) error { m.hold(); return nil }}
		r := xftptest.Start(t, xftptest.Options{Store: store})
		idle, busy := native(t, r), native(t, r)
		f := busy.create(size)
		s := busy.open("POST", nil, false)
		s.send(append(busy.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body...), true)
		<-m.reached
		stopped := make(chan struct{})
		go func() { r.Stop(t); close(stopped) }()
		_ = idle.closed()
		select {
		case <-stopped:
			t.Error("it did not wait")
		default:
		}
		close(m.proceed)
		must(t, s.wait())
		expect(t, busy.response(s, f.senderID), "OK")
		_ = busy.closed()
		<-stopped
		if r.Server.Connections() != 0 {
			t.Error("connections are left")
		}
	})
	t.Run("does not wait for ever", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{})
		p := native(t, r)
		f := p.create(size)
		s := p.open("POST", nil, false)
		s.send(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), false)
		eventually(t, func() bool { return r.Store.Usage().Reserved > 0 })
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := r.Server.Shutdown(ctx); err == nil {
			t.Error("it says that all went well")
		}
		_ = p.closed()
		eventually(t, func() bool { return r.Store.Usage().Reserved == 0 })
		if _, err := client.Dial(t.Context(), r.Address(), client.Options{}); err == nil {
			t.Error("it still accepts")
		}
	})
	t.Run("serve after it", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{})
		r.Restart(t)
		must(t, r.Connect(t, client.Options{}).Ping(t.Context()))
	})
}
