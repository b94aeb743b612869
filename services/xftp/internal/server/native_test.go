package server_test

import (
	"bytes"
	"crypto/sha256"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/probe"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/xftp"
)

// Native clients. The numbers are those of the conformance checklist.
//
// Spec: xftp.md 18.1
func TestNative(t *testing.T) {
	t.Run("18.1/1 one client", func(t *testing.T) {
		c := xftptest.Start(t, xftptest.Options{}).Connect(t, client.Options{})
		f := upload(t, c, size)
		must(t, f.get(t.Context(), c))
	})
	t.Run("18.1/2 sender and recipient on connections of their own", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{})
		f := upload(t, r.Connect(t, client.Options{}), 4<<20)
		must(t, f.get(t.Context(), r.Connect(t, client.Options{})))
	})
	t.Run("18.1/3 wrong digest", wrongDigest)
	t.Run("18.1/4 the client expects another digest", func(t *testing.T) {
		r := xftptest.Start(t, xftptest.Options{})
		f := upload(t, r.Connect(t, client.Options{}), size)
		wrong := f
		wrong.digest = make([]byte, sha256.Size)
		if err := wrong.get(t.Context(), r.Connect(t, client.Options{})); err != client.ErrDigest {
			t.Errorf("got %v", err)
		}
		must(t, f.get(t.Context(), r.Connect(t, client.Options{})))
	})
	t.Run("18.1/5 more recipients", moreRecipients)
	t.Run("18.1/6 delete", deleteChunk)
	t.Run("18.1/7 acknowledge", acknowledge)
	t.Run("18.1/8 a size that there is not", func(t *testing.T) {
		c := xftptest.Start(t, xftptest.Options{}).Connect(t, client.Options{})
		k := auth.NewEd25519()
		_, _, err := c.Create(t.Context(), k, 96<<10, make([]byte, 32), []key.Public{k.Public()})
		refused(t, err, xftp.ErrSize)
	})
	t.Run("18.1/9 expiry", expiry)
	t.Run("18.1/11 quota", quota)
	t.Run("18.1/14 creation password", password)
	t.Run("18.1/15 a second upload", func(t *testing.T) {
		c := xftptest.Start(t, xftptest.Options{}).Connect(t, client.Options{})
		f := upload(t, c, size)
		other, _ := content(size)
		must(t, c.Upload(t.Context(), f.senderID, f.sender, bytes.NewReader(other), size))
		must(t, f.get(t.Context(), c))
	})
}

// A wrong digest of any length fails at the upload, and a right one is accepted for the same keys.
//
// Spec: xftp.md 8.5
func wrongDigest(t *testing.T) {
	p := native(t, xftptest.Start(t, xftptest.Options{}))
	f := p.create(size)
	for _, digest := range [][]byte{make([]byte, 32), make([]byte, 38), nil} {
		response := p.do(f.sender, nil, xftp.FNEW{
			File:       xftp.FileInfo{SenderKey: f.sender.Public(), Size: size, Digest: digest},
			Recipients: []key.Public{f.recipient.Public()},
		}, nil)
		wrong := f
		wrong.senderID = response.(xftp.SIDS).SenderID
		expect(t, p.put(wrong, f.body), "ERR DIGEST")
		expect(t, p.put(wrong, f.body), "ERR DIGEST")
	}
	expect(t, p.put(f, f.body), "OK")
	p.quiet()
}

func moreRecipients(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	c := r.Connect(t, client.Options{})
	f := register(t, c, size)
	second, third := auth.NewEd25519(), auth.NewX25519()
	ids, err := c.AddRecipients(t.Context(), f.senderID, f.sender, []key.Public{second.Public(), third.Public()})
	must(t, err)
	must(t, f.put(t.Context(), c))
	for _, one := range []file{f, {recipient: second, id: ids[0]}, {recipient: third, id: ids[1]}} {
		one.body, one.digest = f.body, f.digest
		must(t, one.get(t.Context(), r.Connect(t, client.Options{})))
	}
	ids, err = c.AddRecipients(t.Context(), f.senderID, f.sender, []key.Public{second.Public()})
	must(t, err)
	late := file{recipient: second, id: ids[0], body: f.body, digest: f.digest}
	must(t, late.get(t.Context(), c))
}

func deleteChunk(t *testing.T) {
	for name, other := range map[string]bool{"one connection": false, "two connections": true} {
		t.Run(name, func(t *testing.T) {
			r := xftptest.Start(t, xftptest.Options{})
			c := r.Connect(t, client.Options{})
			d := c
			if other {
				d = r.Connect(t, client.Options{})
			}
			f := upload(t, c, size)
			must(t, f.get(t.Context(), d))
			must(t, c.Delete(t.Context(), f.senderID, f.sender))
			if used := r.Store.Usage(); used.Bytes != 0 || used.Chunks != 0 {
				t.Errorf("%d bytes are left", used.Bytes)
			}
			refused(t, f.get(t.Context(), d), xftp.ErrAuth)
			refused(t, c.Delete(t.Context(), f.senderID, f.sender), xftp.ErrAuth)
		})
	}
}

func acknowledge(t *testing.T) {
	for name, other := range map[string]bool{"one connection": false, "two connections": true} {
		t.Run(name, func(t *testing.T) {
			r := xftptest.Start(t, xftptest.Options{})
			c := r.Connect(t, client.Options{})
			d := c
			if other {
				d = r.Connect(t, client.Options{})
			}
			f := upload(t, c, size)
			must(t, f.get(t.Context(), d))
			must(t, d.Acknowledge(t.Context(), f.id, f.recipient))
			if r.Store.Usage().Bytes != size {
				t.Error("the body is gone")
			}
			refused(t, f.get(t.Context(), d), xftp.ErrAuth)
			refused(t, d.Acknowledge(t.Context(), f.id, f.recipient), xftp.ErrAuth)
			must(t, c.Delete(t.Context(), f.senderID, f.sender))
		})
	}
}

// expiry finds a chunk gone once its time and the rounding are over, whether or not it was swept.
//
// Spec: xftp.md 10.3
func expiry(t *testing.T) {
	var late atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	r := xftptest.Start(t, xftptest.Options{Store: memstore.New(memstore.Options{TTL: time.Second, Now: clock})})
	c := r.Connect(t, client.Options{})
	f := upload(t, c, size)
	must(t, f.get(t.Context(), c))
	late.Store(int64(2*time.Hour + 2*time.Second))
	refused(t, f.get(t.Context(), c), xftp.ErrAuth)
	refused(t, c.Delete(t.Context(), f.senderID, f.sender), xftp.ErrAuth)
}

func quota(t *testing.T) {
	p := native(t, xftptest.Start(t, xftptest.Options{Quota: 2 * size}))
	first, second, third := p.create(size), p.create(size), p.create(size)
	expect(t, p.put(first, first.body), "OK")
	expect(t, p.put(second, second.body), "OK")
	expect(t, p.put(third, third.body), "ERR QUOTA")
	expect(t, p.put(first, first.body), "OK") // takes no room
	expect(t, p.do(first.sender, first.senderID, xftp.FDEL{}, nil), "OK")
	expect(t, p.put(third, third.body), "OK")
	if _, ok := p.ask(third).(xftp.FILE); !ok {
		t.Error("no download")
	}
	p.quiet()
}

func password(t *testing.T) {
	for name, test := range map[string]struct {
		relay, given string
		off, refused bool
	}{
		"none":           {relay: "secret", refused: true},
		"wrong":          {relay: "secret", given: "other", refused: true},
		"beginning":      {relay: "secret", given: "secre", refused: true},
		"off":            {relay: "secret", given: "secret", off: true, refused: true},
		"off, none":      {off: true, refused: true},
		"right":          {relay: "secret", given: "secret"},
		"none is needed": {given: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			r := xftptest.Start(t, xftptest.Options{Config: func(c *server.Config) {
				c.CreatePassword, c.NewFiles = []byte(test.relay), !test.off
			}})
			var o client.Options
			if test.given != "" {
				o.Password = []byte(test.given)
			}
			c := r.Connect(t, o)
			if test.refused {
				k := auth.NewEd25519()
				_, _, err := c.Create(t.Context(), k, size, make([]byte, 32), []key.Public{k.Public()})
				refused(t, err, xftp.ErrAuth)
				return
			}
			f := upload(t, c, size)
			must(t, f.get(t.Context(), c))
		})
	}
}

// The self-test of apps passes.
//
// Spec: xftp.md 14.2
func TestProbe(t *testing.T) {
	r := xftptest.Start(t, xftptest.Options{})
	var out bytes.Buffer
	if err := probe.Run(t.Context(), r.Address().String(), nil, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if used := r.Store.Usage(); used.Chunks != 0 || used.Reserved != 0 {
		t.Errorf("left behind: %+v", used)
	}
}
