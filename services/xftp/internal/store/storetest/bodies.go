package storetest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
)

var bodyCases = []testCase{
	{"sizes", testSizes},
	{"write to", testWriteTo},
	{"no body yet", testNoBody},
	{"abort", testAbort},
	{"too long", testTooLong},
	{"too short", testTooShort},
	{"uploaded before", testUploadedBefore},
	{"the second commit loses", testSecondCommit},
	{"deleted during upload", testDeleteDuringUpload},
	{"blocked during upload", testBlockDuringUpload},
	{"deleted during download", testDeleteDuringDownload},
	{"blocked during download", testBlockDuringDownload},
	{"closed download", testClosed},
}

// sizes of bodies: those of the protocol, and those around the bounds of pages and buffers.
func sizes() []int {
	all := []int{0, 1, 2, 4095, 65_536, 262_144, 1 << 20, 4 << 20}
	for _, edge := range []int{8000, 8100, 8192, 32 * 8100, 65_536, 262_144} {
		all = append(all, edge-1, edge, edge+1)
	}
	return all
}

// Spec: xftp.md 8.5
func testSizes(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	var stored int64
	var all []*chunk.Chunk
	var bodies [][]byte
	for _, size := range sizes() {
		body := NewBody(size)
		all, bodies = append(all, f.put(body)), append(bodies, body)
		stored += int64(size)
	}
	f.wantUsage(int64(len(all)), stored, 0)
	for i, c := range all {
		f.wantBody(c, bodies[i])
		c.Uploaded = true
		f.wantRecord(c)
	}
	f.wantNoStrays()
}

func testWriteTo(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(700_001)
	c := f.put(body)
	r, err := f.Download(f.ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head := make([]byte, 300_000)
	if _, err := io.ReadFull(r, head); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	if n, err := io.Copy(&rest, r); err != nil || n != int64(len(body)-len(head)) {
		t.Fatalf("copied %d: %v", n, err)
	}
	if !bytes.Equal(append(head, rest.Bytes()...), body) {
		t.Fatal("another body than was stored")
	}
	if n, err := r.Read(head); n != 0 || err != io.EOF {
		t.Fatalf("after the end: %d, %v", n, err)
	}
}

func testNoBody(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	c := f.create(NewBody(10))
	f.wantNoBody(c)
	f.wantUsage(0, 0, 0)
	u := f.begin(c)
	f.wantNoBody(c)
	f.write(u, NewBody(10))
	f.wantNoBody(c)
	u.Abort()
	f.wantNoBody(c)
}

func testAbort(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const size = 600_000
	body := NewBody(size)
	c := f.create(body)
	for _, written := range []int{0, 1, 300_000, size} {
		u := f.begin(c)
		f.wantUsage(0, 0, size)
		f.write(u, body[:written])
		u.Abort()
		f.wantUsage(0, 0, 0)
		u.Abort()
		f.wantUsage(0, 0, 0)
		if err := u.Commit(f.ctx); err == nil {
			t.Fatal("commit after abort")
		}
		if _, err := u.Write([]byte{1}); err == nil && written == size {
			t.Fatal("write after abort")
		}
		f.wantNoBody(c)
		f.wantNoStrays()
	}
	f.upload(c, body)
	f.wantBody(c, body)
}

func testTooLong(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	for _, size := range []int{10, 300_000} {
		body := NewBody(size)
		c := f.create(body)
		u := f.begin(c)
		f.write(u, body)
		if _, err := u.Write([]byte{0}); err == nil {
			t.Fatal("a byte more than the chunk has was accepted")
		}
		u.Abort()
		f.wantNoBody(c)
		f.wantUsage(0, 0, 0)
	}
	f.wantNoStrays()
}

func testTooShort(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	for _, size := range []int{1, 10, 300_000} {
		body := NewBody(size)
		c := f.create(body)
		u := f.begin(c)
		f.write(u, body[:size-1])
		if err := u.Commit(f.ctx); err == nil {
			t.Fatal("a body that is too short was committed")
		}
		f.wantNoBody(c)
		f.wantUsage(0, 0, 0)
		u.Abort()
		f.wantUsage(0, 0, 0)
		f.upload(c, body)
		f.wantBody(c, body)
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
	}
	f.wantNoStrays()
}

func testUploadedBefore(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(1000)
	c := f.put(body)
	_, err := f.Upload(f.ctx, c)
	wantErr(t, "upload", err, chunk.ErrUploaded)
	f.wantUsage(1, 1000, 0)
	f.wantBody(c, body)
}

func testSecondCommit(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	const size = 500_000
	first, second := NewBody(size), NewBody(size)
	c := f.create(first)
	a, b := f.begin(c), f.begin(c)
	f.wantUsage(0, 0, 2*size)
	f.write(a, first[:size/2])
	f.write(b, second)
	f.write(a, first[size/2:])
	if err := a.Commit(f.ctx); err != nil {
		t.Fatal(err)
	}
	f.wantUsage(1, size, size)
	wantErr(t, "second commit", b.Commit(f.ctx), chunk.ErrUploaded)
	f.wantUsage(1, size, 0)
	if err := a.Commit(f.ctx); err == nil {
		t.Error("a second commit of the same upload")
	}
	a.Abort()
	b.Abort()
	f.wantUsage(1, size, 0)
	f.wantBody(c, first)
	f.wantNoStrays()
}

// gone checks that an upload whose chunk is gone comes to nothing.
func (f *fixture) gone(u server.Upload, rest []byte) {
	f.t.Helper()
	_, err := u.Write(rest)
	if err == nil {
		err = u.Commit(f.ctx)
	}
	wantErr(f.t, "write or commit", err, chunk.ErrNotFound)
	u.Abort()
	f.wantNoStrays()
}

func testDeleteDuringUpload(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	for _, written := range []int{0, 10, 400_000, len(body)} {
		c := f.create(body)
		u := f.begin(c)
		f.write(u, body[:written])
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
		f.gone(u, body[written:])
		f.wantGone(c)
		f.wantUsage(0, 0, 0)
	}
}

func testBlockDuringUpload(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	c := f.create(body)
	u := f.begin(c)
	f.write(u, body[:400_000])
	if err := f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	f.gone(u, body[400_000:])
	f.wantUsage(0, 0, 0)
	if r := f.bySender(c.SenderID); r == nil || !r.Blocked || r.Uploaded {
		t.Error("the chunk is not blocked, or has a body")
	}
}

func testDeleteDuringDownload(t *testing.T, open Open) {
	removeDuringDownload(t, open, func(f *fixture, c *chunk.Chunk) error { return f.Delete(f.ctx, c.Ref) })
}

func testBlockDuringDownload(t *testing.T, open Open) {
	removeDuringDownload(t, open, func(f *fixture, c *chunk.Chunk) error {
		return f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "content"})
	})
}

func removeDuringDownload(t *testing.T, open Open, remove func(*fixture, *chunk.Chunk) error) {
	f := newFixture(t, open, 0)
	body := NewBody(1 << 20)
	for _, read := range []int{0, 1, 500_000, len(body)} {
		c := f.put(body)
		r, err := f.Download(f.ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, read)
		if _, err := io.ReadFull(r, got); err != nil {
			t.Fatal(err)
		}
		if err := remove(f, c); err != nil {
			t.Fatal(err)
		}
		f.put(NewBody(1 << 20)) // must not be seen in its place
		rest, err := io.ReadAll(r)
		got = append(got, rest...)
		if err != nil && !errors.Is(err, chunk.ErrNotFound) || err == nil && len(got) != len(body) {
			t.Errorf("read %d bytes: %v", len(got), err)
		}
		if !bytes.HasPrefix(body, got) {
			t.Error("other bytes than the chunk's")
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func testClosed(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	c := f.put(body)
	r, err := f.Download(f.ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	f.wantBody(c, body)
}
