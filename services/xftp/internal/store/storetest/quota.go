package storetest

import (
	"context"
	"testing"

	"sotto/services/xftp/internal/chunk"
)

var quotaCases = []testCase{
	{"exactly full", testQuotaExact},
	{"registered records do not count", testQuotaRegistered},
	{"every way out releases once", testQuotaWaysOut},
	{"what comes before the quota", testQuotaOrder},
	{"reopened over the quota", testQuotaReopen},
}

const unit = 65_536

func (f *fixture) refused(c *chunk.Chunk) {
	f.t.Helper()
	_, err := f.Upload(f.ctx, c)
	wantErr(f.t, "upload", err, chunk.ErrQuota)
}

func testQuotaExact(t *testing.T, open Open) {
	f := newFixture(t, open, 3*unit)
	body := NewBody(unit)
	a, b, c := f.create(body), f.create(body), f.create(body)
	small := f.create(body[:1])
	f.upload(a, body)
	u := f.begin(b)
	f.wantUsage(1, unit, unit)
	f.upload(c, body)
	f.refused(small)
	f.wantUsage(2, 2*unit, unit)
	u.Abort()
	f.upload(b, body)
	f.refused(small)
	if err := f.Delete(f.ctx, a.Ref); err != nil {
		t.Fatal(err)
	}
	f.upload(small, body[:1])
	f.refused(f.create(body))
	f.upload(f.create(body[1:]), body[1:])
	f.wantUsage(4, 3*unit, 0)
}

// Spec: xftp.md 10.2
func testQuotaRegistered(t *testing.T, open Open) {
	f := newFixture(t, open, unit)
	body := NewBody(unit)
	for range 5 {
		f.create(body)
	}
	c := f.put(body)
	f.wantUsage(1, unit, 0)
	if f.Reopen == nil {
		return
	}
	f.reopen()
	f.wantUsage(1, unit, 0)
	if err := f.Delete(f.ctx, c.Ref); err != nil {
		t.Fatal(err)
	}
	f.wantUsage(0, 0, 0)
	f.put(body)
}

// testQuotaWaysOut takes every way out of an upload on a store with room for one, which would soon be full, or larger
// than it is, if room were released too little or too often.
func testQuotaWaysOut(t *testing.T, open Open) {
	f := newFixture(t, open, unit)
	body := NewBody(unit)
	for range 3 {
		c := f.create(body)
		u := f.begin(c)
		u.Abort()
		u.Abort()
		f.wantUsage(0, 0, 0)

		u = f.begin(c)
		if err := u.Commit(f.ctx); err == nil {
			t.Fatal("an empty body was committed")
		}
		u.Abort()
		f.wantUsage(0, 0, 0)

		u = f.begin(c)
		f.write(u, body)
		ctx, cancel := context.WithCancel(f.ctx)
		if err := u.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		u.Abort()
		f.wantUsage(1, unit, 0)
		f.refused(f.create(body))

		if err := f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "spam"}); err != nil {
			t.Fatal(err)
		}
		if err := f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "content"}); err != nil {
			t.Fatal(err)
		}
		f.wantUsage(0, 0, 0)
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
		wantErr(t, "delete", f.Delete(f.ctx, c.Ref), chunk.ErrNotFound)
		f.wantUsage(0, 0, 0)

		c = f.create(body)
		u = f.begin(c)
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
		f.wantUsage(0, 0, unit)
		f.gone(u, body)
		f.wantUsage(0, 0, 0)
	}
	f.put(body)
	f.refused(f.create(body[:1]))
}

func testQuotaOrder(t *testing.T, open Open) {
	f := newFixture(t, open, unit)
	body := NewBody(unit)
	deleted, blocked, waiting := f.create(body), f.create(body), f.create(body)
	if err := f.Delete(f.ctx, deleted.Ref); err != nil {
		t.Fatal(err)
	}
	if err := f.Block(f.ctx, blocked.Ref, chunk.Blocking{Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	full := f.put(body)
	for _, c := range []struct {
		name string
		of   *chunk.Chunk
		want error
	}{
		{"uploaded", full, chunk.ErrUploaded},
		{"deleted", deleted, chunk.ErrNotFound},
		{"blocked", blocked, chunk.ErrNotFound},
		{"waiting", waiting, chunk.ErrQuota},
	} {
		_, err := f.Upload(f.ctx, c.of)
		wantErr(t, c.name, err, c.want)
	}
	f.wantUsage(1, unit, 0)
}

// Spec: xftp.md 10.2, a relay that stores more than a new quota allows keeps running and takes no uploads.
func testQuotaReopen(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(unit)
	a, b := f.put(body), f.put(body)
	f.config.Quota = unit
	f.reopen()
	f.wantUsage(2, 2*unit, 0)
	c := f.create(body)
	f.refused(c)
	f.wantBody(a, body)
	if err := f.Delete(f.ctx, a.Ref); err != nil {
		t.Fatal(err)
	}
	f.refused(c)
	if err := f.Delete(f.ctx, b.Ref); err != nil {
		t.Fatal(err)
	}
	f.upload(c, body)
}
