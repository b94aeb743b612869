package server_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/xftp"
)

// inBubble runs a test with a relay on pipes, in which time passes when everybody waits.
func inBubble(t *testing.T, o xftptest.Options, test func(t *testing.T, r *xftptest.Relay)) {
	t.Helper()
	o.Pipes = true
	synctest.Test(t, func(t *testing.T) { test(t, xftptest.Start(t, o)) })
}

// until waits for the end of the connection and checks how long that took.
func until(t *testing.T, p *peer, least, most time.Duration) {
	t.Helper()
	began := time.Now()
	_ = p.closed()
	if took := time.Since(began); took < least || took > most {
		t.Errorf("closed after %v", took)
	}
}

// Clients that do not get on.
//
// Spec: xftp.md 11.3
func TestTimers(t *testing.T) {
	t.Run("no TLS", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			raw, err := r.Dialer(t.Context(), "", "")
			must(t, err)
			began := time.Now()
			_, _ = io.Copy(io.Discard, raw)
			if took := time.Since(began); took != time.Minute {
				t.Errorf("closed after %v", took)
			}
		})
	})
	t.Run("no HTTP/2", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			session, err := dialTLS(t, r, connection{alpn: []string{xftp.ALPN}})
			must(t, err)
			began := time.Now()
			_, _ = io.Copy(io.Discard, session.Conn)
			if took := time.Since(began); took > time.Minute {
				t.Errorf("closed after %v", took)
			}
		})
	})
	t.Run("no handshake", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
			until(t, p, 59*time.Second, time.Minute)
			p = dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
			time.Sleep(50 * time.Second)
			p.post(nil, nil)
			until(t, p, 9*time.Second, 10*time.Second)
		})
	})
	t.Run("a browser's connection in stock", func(t *testing.T) {
		inBubble(t, xftptest.Options{Web: xftptest.Ed25519}, func(t *testing.T, r *xftptest.Relay) {
			p := browser(t, r)
			for range 10 {
				time.Sleep(50 * time.Second)
				s := p.open(http.MethodGet, nil, true)
				must(t, s.wait())
			}
			until(t, p, time.Minute, 2*time.Minute)
			p = browser(t, r)
			p.greet(t)
			time.Sleep(time.Hour)
			expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
		})
	})
	t.Run("a body that stops", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := native(t, r)
			f := p.create(size)
			s := p.open("POST", nil, false)
			s.send(append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body[:1000]...), false)
			until(t, p, time.Minute, 2*time.Minute)
			synctest.Wait()
			if used := r.Store.Usage(); used.Reserved != 0 {
				t.Error("room stays reserved")
			}
		})
	})
	t.Run("a head that stops", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := native(t, r)
			s := p.open("POST", nil, false)
			s.send(make([]byte, 100), false)
			until(t, p, time.Minute, 2*time.Minute)
		})
	})
	t.Run("18.7/57 a body that takes too long", slowUpload)
	t.Run("a head that takes too long", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := native(t, r)
			s := p.open("POST", nil, false)
			stop := trickle(s, make([]byte, 10))
			until(t, p, 5*time.Minute, 5*time.Minute+time.Second)
			stop()
		})
	})
	t.Run("an answer that is not taken", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}, window: 100_000})
			p.handshake(3)
			f := p.create(1 << 20)
			expect(t, p.put(f, f.body), "OK")
			s := p.open("POST", nil, false)
			s.send(p.head(f.recipient, nil, f.id, xftp.FGET{Key: auth.NewX25519().Public()}), true)
			until(t, p, time.Minute, 2*time.Minute)
		})
	})
	t.Run("18.1/10 inactive clients", func(t *testing.T) {
		inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
			p := native(t, r)
			for range 10 {
				time.Sleep(5 * time.Hour)
				expect(t, p.do(auth.Key{}, nil, xftp.PING{}, nil), "PONG")
			}
			until(t, p, 6*time.Hour, 7*time.Hour)
			synctest.Wait()
			if n := r.Server.Connections(); n != 0 {
				t.Errorf("%d connections", n)
			}
		})
	})
	t.Run("a slow transfer is not inactivity", func(t *testing.T) {
		o := xftptest.Options{Config: func(c *server.Config) {
			c.InactiveTTL, c.InactiveInterval = time.Second, time.Second
		}}
		inBubble(t, o, func(t *testing.T, r *xftptest.Relay) {
			p := native(t, r)
			f := p.create(size)
			s := p.open("POST", nil, false)
			s.send(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), false)
			for at := 0; at < size; at += size / 8 {
				s.send(f.body[at:at+size/8], false)
				time.Sleep(20 * time.Second)
			}
			s.send(nil, true)
			must(t, s.wait())
			expect(t, p.response(s, f.senderID), "OK")
		})
	})
}

// trickle sends the same part of a body every ten seconds until it is stopped.
func trickle(s *stream, part []byte) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			s.send(part, false)
			select {
			case <-done:
				return
			case <-time.After(10 * time.Second):
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// slowUpload is told that it was too slow, and the connection goes on.
//
// Spec: xftp.md 8.5
func slowUpload(t *testing.T) {
	inBubble(t, xftptest.Options{}, func(t *testing.T, r *xftptest.Relay) {
		p := native(t, r)
		f := p.create(size)
		s := p.open("POST", nil, false)
		s.send(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), false)
		began := time.Now()
		stop := trickle(s, f.body[:1000])
		must(t, s.wait())
		stop()
		expect(t, p.response(s, f.senderID), "ERR TIMEOUT")
		if took := time.Since(began).Round(time.Second); took != 5*time.Minute {
			t.Errorf("told after %v", took)
		}
		if used := r.Store.Usage(); used.Reserved != 0 {
			t.Error("room stays reserved")
		}
		expect(t, p.put(f, f.body), "OK")
	})
}

// sweepStore counts sweeps.
type sweepStore struct {
	server.Store
	sweeps atomic.Int64
}

func (s *sweepStore) Expire(ctx context.Context, now int64) (int64, error) {
	if s.sweeps.Add(1) == 3 {
		return 0, errDisk
	}
	return s.Store.Expire(ctx, now)
}

// Sweeps come at the start and at every interval, and go on after trouble.
//
// Spec: xftp.md 10.3
func TestSweeps(t *testing.T) {
	store := &sweepStore{Store: memstore.New(memstore.Options{TTL: 48 * time.Hour})}
	o := xftptest.Options{Store: store, Config: func(c *server.Config) { c.InactiveTTL = 0 }}
	inBubble(t, o, func(t *testing.T, r *xftptest.Relay) {
		c := r.Connect(t, client.Options{})
		f := upload(t, c, size)
		time.Sleep(51 * time.Hour)
		if n := store.sweeps.Load(); n != 26 {
			t.Errorf("%d sweeps", n)
		}
		if used := store.Usage(); used.Bytes != 0 {
			t.Error("an expired chunk is kept")
		}
		refused(t, c.Download(t.Context(), f.id, f.recipient, size, nil, new(bytes.Buffer)), xftp.ErrAuth)
	})
}
