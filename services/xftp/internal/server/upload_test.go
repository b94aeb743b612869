package server_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/xftp"
)

// Bodies of other lengths than were registered. The connection goes on after each.
//
// Spec: xftp.md 8.5
func TestUploadSize(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	p := native(t, r)
	f := p.create(size)
	long := append(bytes.Clone(f.body), 'x')
	for _, test := range []struct {
		name, want string
		body       []byte
	}{
		{"18.7/57 one byte less", "ERR SIZE", f.body[:size-1]},
		{"18.7/57 one byte more", "ERR SIZE", long},
		{"18.7/57 much more", "ERR SIZE", append(long, make([]byte, 3<<20)...)},
		{"18.7/57 nothing", "ERR SIZE", nil},
		{"18.7/57 right", "OK", f.body},
		{"18.7/57 again, one byte less", "ERR SIZE", f.body[:size-1]},
		{"18.7/57 again, much more", "OK", append(long, make([]byte, 3<<20)...)},
		{"18.7/57 again, nothing", "ERR SIZE", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			expect(t, p.put(f, test.body), test.want)
			if used := r.Store.Usage(); used.Reserved != 0 {
				t.Errorf("%d bytes stay reserved", used.Reserved)
			}
		})
	}
	t.Run("18.7/57 the end in an empty frame", func(t *testing.T) {
		f := p.create(size)
		s := p.open("POST", nil, false)
		s.send(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), false)
		s.send(f.body, false)
		s.send(nil, true)
		must(t, s.wait())
		expect(t, p.response(s, f.senderID), "OK")
	})
	t.Run("a byte per frame", func(t *testing.T) {
		s := p.open("POST", nil, false)
		for _, b := range p.head(auth.Key{}, nil, nil, xftp.PING{}) {
			s.send([]byte{b}, false)
		}
		s.send(nil, true)
		must(t, s.wait())
		expect(t, p.response(s, nil), "PONG")
	})
	p.quiet()
}

// gateStore lets a test hold uploads and downloads where it wants.
type gateStore struct {
	server.Store
	onWrite  func(chunk.ID) error // before a write of an upload
	onCommit func(chunk.ID) error
	onUpload func(chunk.ID) error
	onRead   func(n int) error // before a read of a download, after n bytes
}

func (s *gateStore) Upload(ctx context.Context, c *chunk.Chunk) (server.Upload, error) {
	if s.onUpload != nil {
		if err := s.onUpload(c.SenderID); err != nil {
			return nil, err
		}
	}
	u, err := s.Store.Upload(ctx, c)
	if err != nil {
		return nil, err
	}
	return &gateUpload{u, s, c.SenderID}, nil
}

type gateUpload struct {
	server.Upload
	s  *gateStore
	id chunk.ID
}

func (u *gateUpload) Write(p []byte) (int, error) {
	if u.s.onWrite != nil {
		if err := u.s.onWrite(u.id); err != nil {
			return 0, err
		}
	}
	return u.Upload.Write(p)
}

func (u *gateUpload) Commit(ctx context.Context) error {
	if u.s.onCommit != nil {
		if err := u.s.onCommit(u.id); err != nil {
			return err
		}
	}
	return u.Upload.Commit(ctx)
}

func (s *gateStore) Download(ctx context.Context, c *chunk.Chunk) (io.ReadCloser, error) {
	r, err := s.Store.Download(ctx, c)
	if err != nil || s.onRead == nil {
		return r, err
	}
	return &gateDownload{ReadCloser: r, s: s}, nil
}

type gateDownload struct {
	io.ReadCloser
	s *gateStore
	n int
}

func (d *gateDownload) Read(p []byte) (int, error) {
	if err := d.s.onRead(d.n); err != nil {
		return 0, err
	}
	n, err := d.ReadCloser.Read(p)
	d.n += n
	return n, err
}

// meeting is where a request waits until the test goes on.
type meeting struct {
	reached, proceed chan struct{}
	taken            atomic.Bool
}

func newMeeting() *meeting {
	return &meeting{reached: make(chan struct{}), proceed: make(chan struct{})}
}

// hold lets the first one wait, and everybody else pass.
func (m *meeting) hold() {
	if m.taken.CompareAndSwap(false, true) {
		close(m.reached)
		<-m.proceed
	}
}

// Two uploads of one chunk cannot harm each other, nor a body that is there.
//
// Spec: xftp.md 8.5
func TestConcurrentUploads(t *testing.T) {
	t.Run("18.7/58 both at once", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{Quota: 2 << 20})
		f := register(t, r.Connect(t, client.Options{}), 1<<20)
		var wg sync.WaitGroup
		for range 8 {
			c := r.Connect(t, client.Options{})
			wg.Go(func() {
				if err := f.put(t.Context(), c); err != nil && !errors.Is(err, xftp.ErrQuota) {
					t.Errorf("upload: %v", err)
				}
			})
		}
		wg.Wait()
		must(t, f.get(t.Context(), r.Connect(t, client.Options{})))
		if used := r.Store.Usage(); used.Bytes != 1<<20 || used.Reserved != 0 || used.Chunks != 1 {
			t.Errorf("usage %+v", used)
		}
	})
	t.Run("18.7/58 the slower one", func(t *testing.T) {
		m := newMeeting()
		store := &gateStore{Store: memstore.New(memstore.Options{}), onCommit: func(chunk.ID) error { m.hold(); return nil }}
		r := xftptest.Start(t, xftptest.Options{Store: store})
		f := register(t, r.Connect(t, client.Options{}), size)
		slow := make(chan error, 1)
		c := r.Connect(t, client.Options{})
		go func() { slow <- f.put(t.Context(), c) }()
		<-m.reached
		must(t, f.put(t.Context(), r.Connect(t, client.Options{})))
		close(m.proceed)
		must(t, <-slow)
		must(t, f.get(t.Context(), c))
	})
	t.Run("18.7/58 the slower one with another body", func(t *testing.T) {
		m := newMeeting()
		store := &gateStore{Store: memstore.New(memstore.Options{}), onWrite: func(chunk.ID) error { m.hold(); return nil }}
		r := xftptest.Start(t, xftptest.Options{Store: store})
		f := register(t, r.Connect(t, client.Options{}), size)
		p := native(t, r)
		other, _ := content(size)
		s := p.open("POST", nil, false)
		s.send(append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), other...), true)
		<-m.reached
		c := r.Connect(t, client.Options{})
		must(t, f.put(t.Context(), c))
		close(m.proceed)
		must(t, s.wait())
		expect(t, p.response(s, f.senderID), "ERR DIGEST")
		must(t, f.get(t.Context(), c))
		p.quiet()
	})
}

// Chunks that go while a body is on its way.
//
// Spec: xftp.md 8.3
// Spec: xftp.md 9.2
func TestGoneMeanwhile(t *testing.T) {
	vanish := map[string]func(t *testing.T, r *xftptest.Relay, f file){
		"deleted": func(t *testing.T, r *xftptest.Relay, f file) {
			must(t, r.Connect(t, client.Options{}).Delete(t.Context(), f.senderID, f.sender))
		},
		"blocked": func(t *testing.T, r *xftptest.Relay, f file) {
			block(t, r.Store, f, chunk.Blocking{Reason: "spam"})
		},
		"expired": func(t *testing.T, r *xftptest.Relay, _ file) {
			_, err := r.Store.Expire(t.Context(), 1<<40)
			must(t, err)
		},
	}
	for name, gone := range vanish {
		t.Run("18.7/58 "+name+" during upload", func(t *testing.T) {
			m := newMeeting()
			store := &gateStore{Store: memstore.New(memstore.Options{TTL: 48 << 40}), onCommit: func(chunk.ID) error { m.hold(); return nil }}
			r := xftptest.Start(t, xftptest.Options{Store: store})
			p := native(t, r)
			f := p.create(size)
			s := p.open("POST", nil, false)
			s.send(append(p.head(f.sender, nil, f.senderID, xftp.FPUT{}), f.body...), true)
			<-m.reached
			gone(t, r, f)
			close(m.proceed)
			must(t, s.wait())
			expect(t, p.response(s, f.senderID), "ERR AUTH")
			if used := r.Store.Usage(); used.Bytes != 0 || used.Reserved != 0 {
				t.Errorf("usage %+v", used)
			}
			p.quiet()
		})
		t.Run("18.7/58 "+name+" during download", func(t *testing.T) {
			m := newMeeting()
			store := &gateStore{Store: memstore.New(memstore.Options{TTL: 48 << 40}), onRead: func(n int) error {
				if n >= 2*server.PieceSize {
					m.hold()
				}
				return nil
			}}
			r := xftptest.Start(t, xftptest.Options{Store: store})
			f := upload(t, r.Connect(t, client.Options{}), 1<<20)
			c := r.Connect(t, client.Options{})
			got := make(chan error, 1)
			go func() { got <- f.get(t.Context(), c) }()
			<-m.reached
			gone(t, r, f)
			close(m.proceed)
			must(t, <-got)
		})
	}
}

// block blocks a chunk as an operator does.
func block(t *testing.T, s server.Store, f file, b chunk.Blocking) {
	t.Helper()
	id, _ := chunk.ParseID(f.senderID)
	c, err := s.BySender(t.Context(), id)
	must(t, err)
	must(t, s.Block(t.Context(), c.Ref, b))
}

// Blocked chunks tell why, to those who have a key for them and know the word.
//
// Spec: xftp.md 9.1
func TestBlocked(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	for _, test := range []struct {
		name     string
		blocking chunk.Blocking
		version  uint16
		want     string
	}{
		{"18.7/59 version 3", chunk.Blocking{Reason: "spam"}, 3, "ERR BLOCKED reason=spam"},
		{"18.7/59 with a notice", chunk.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 86400}, 3, `ERR BLOCKED reason=content,notice={"ttl":86400}`},
		{"18.7/59 with an endless notice", chunk.Blocking{Reason: "content", HasNotice: true}, 3, `ERR BLOCKED reason=content,notice={}`},
		{"18.7/59 version 2", chunk.Blocking{Reason: "spam"}, 2, "ERR AUTH"},
		{"18.7/59 version 1", chunk.Blocking{Reason: "spam"}, 1, "ERR AUTH"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := upload(t, r.Connect(t, client.Options{}), size)
			block(t, r.Store, f, test.blocking)
			p := dialPeer(t, r, connection{alpn: []string{xftp.ALPN}})
			p.handshake(wireVersion(test.version))
			expect(t, p.ask(f), test.want)
			expect(t, p.do(f.recipient, f.id, xftp.FACK{}, nil), test.want)
			expect(t, p.put(f, f.body), test.want)
			expect(t, p.do(f.sender, f.senderID, xftp.FDEL{}, nil), test.want)
			expect(t, p.do(f.sender, f.senderID, xftp.FADD{Recipients: []key.Public{f.recipient.Public()}}, nil), test.want)
			expect(t, p.do(auth.NewEd25519(), f.senderID, xftp.FDEL{}, nil), "ERR AUTH")
			expect(t, p.do(f.sender, f.id, xftp.FACK{}, nil), "ERR AUTH")
			p.quiet()
		})
	}
}

// errDisk is trouble of a store that the protocol has no word for.
var errDisk = errors.New("the disk is on fire")

// Trouble of the store is the relay's, not the client's; nothing stays behind and the connection goes on.
//
// Spec: xftp.md 9.2
func TestStoreTrouble(t *testing.T) {
	for name, spoil := range map[string]func(*gateStore){
		"begin":  func(s *gateStore) { s.onUpload = func(chunk.ID) error { return errDisk } },
		"write":  func(s *gateStore) { s.onWrite = func(chunk.ID) error { return errDisk } },
		"commit": func(s *gateStore) { s.onCommit = func(chunk.ID) error { return chunk.ErrUnavailable } },
	} {
		t.Run(name, func(t *testing.T) {
			store := &gateStore{Store: memstore.New(memstore.Options{Quota: 4 << 20})}
			spoil(store)
			p := native(t, xftptest.Start(t, xftptest.Options{Store: store}))
			f := p.create(4 << 20)
			for range 4 {
				expect(t, p.put(f, f.body), "ERR FILE_IO")
				if used := store.Usage(); used.Reserved != 0 {
					t.Errorf("%d bytes stay reserved", used.Reserved)
				}
			}
			expect(t, p.ask(f), "ERR NO_FILE")
			p.quiet()
		})
	}
	t.Run("read", func(t *testing.T) {
		store := &gateStore{Store: memstore.New(memstore.Options{})}
		p := native(t, xftptest.Start(t, xftptest.Options{Store: store}))
		f := p.create(1 << 20)
		expect(t, p.put(f, f.body), "OK")
		for limit, want := range map[int]int{0: 0, server.PieceSize: server.PieceSize, 1 << 20: 1 << 20} {
			store.onRead = func(n int) error {
				if n >= limit {
					return errDisk
				}
				return nil
			}
			s := p.post(nil, p.head(f.recipient, nil, f.id, xftp.FGET{Key: auth.NewX25519().Public()}))
			if want == 0 {
				expect(t, p.response(s, f.id), "ERR INTERNAL")
			} else if got := len(s.body) - xftp.BlockSize; (want < 1<<20) != (got == want) {
				t.Errorf("%d bytes of the body, the store gave %d", got, want)
			}
		}
		store.onRead = func(int) error { return chunk.ErrNotFound }
		expect(t, p.ask(f), "ERR AUTH")
		p.quiet()
	})
}
