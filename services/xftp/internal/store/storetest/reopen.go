package storetest

import (
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
)

var reopenCases = []testCase{
	{"records and bodies", testReopenRecords},
	{"refs are not used again", testReopenRefs},
	{"crash in the middle of uploads", testCrashUploads},
	{"crash after the answers", testCrashAnswers},
	{"crash again and again", testCrashAgain},
}

// Spec: xftp.md 10.6
func testReopenRecords(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	rs := NewRecipients(t, 3)
	full, registered, deleted, blocked := f.put(body, rs...), f.create(body), f.put(body), f.put(body)
	b := chunk.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 60}
	for _, err := range []error{
		f.Delete(f.ctx, deleted.Ref), f.Block(f.ctx, blocked.Ref, b), f.RemoveRecipient(f.ctx, rs[1].ID),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	full.Uploaded, blocked.Blocked, blocked.Blocking = true, true, b
	for range 2 {
		f.reopen()
		f.wantUsage(1, 600_000, 0)
		f.wantRecord(full)
		f.wantRecord(registered)
		f.wantRecord(blocked)
		f.wantGone(deleted, rs[1])
		f.wantRecipient(rs[0], full)
		f.wantRecipient(rs[2], full)
		f.wantBody(full, body)
		f.wantNoBody(registered)
		f.wantNoStrays()
	}
	f.upload(registered, body)
	f.wantUsage(2, 1_200_000, 0)
	f.wantBody(registered, body)
}

func testReopenRefs(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	seen := make(map[chunk.Ref]bool)
	for range 4 {
		c := f.put(NewBody(10))
		if seen[c.Ref] {
			t.Fatal("a ref was given twice")
		}
		seen[c.Ref] = true
		if err := f.Delete(f.ctx, c.Ref); err != nil {
			t.Fatal(err)
		}
		f.reopen()
	}
}

func testCrashUploads(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(1 << 20)
	kept, waiting := f.put(body), f.create(body)
	var doing []*chunk.Chunk
	var uploads []server.Upload
	for _, written := range []int{0, 1, 300_000, 700_000, len(body)} {
		c := f.create(body)
		u := f.begin(c)
		f.write(u, body[:written])
		doing, uploads = append(doing, c), append(uploads, u)
	}
	f.wantUsage(1, 1<<20, int64(len(doing))<<20)
	f.crash()
	for _, u := range uploads { // of the process that is dead
		if err := u.Commit(f.ctx); err == nil {
			t.Fatal("an upload of a dead process was committed")
		}
		u.Abort()
	}
	f.wantUsage(1, 1<<20, 0)
	f.wantNoStrays()
	f.wantBody(kept, body)
	for _, c := range append(doing, waiting) {
		f.wantNoBody(c)
		f.upload(c, body)
		f.wantBody(c, body)
	}
	f.wantUsage(int64(len(doing))+2, (int64(len(doing))+2)<<20, 0)
}

func testCrashAnswers(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	rs := NewRecipients(t, 2)
	a, b, c := f.put(body), f.put(body), f.create(body, rs...)
	f.crash()
	f.wantBody(a, body)
	if err := f.Delete(f.ctx, a.Ref); err != nil {
		t.Fatal(err)
	}
	f.crash()
	f.wantGone(a)
	if err := f.Block(f.ctx, b.Ref, chunk.Blocking{Reason: "spam"}); err != nil {
		t.Fatal(err)
	}
	f.crash()
	b.Blocked, b.Blocking = true, chunk.Blocking{Reason: "spam"}
	f.wantRecord(b)
	if err := f.RemoveRecipient(f.ctx, rs[0].ID); err != nil {
		t.Fatal(err)
	}
	f.upload(c, body)
	f.crash()
	c.Uploaded = true
	f.wantRecord(c)
	f.wantRecipient(rs[1], c)
	f.wantBody(c, body)
	f.wantUsage(1, 600_000, 0)
	f.wantNoStrays()
}

func testCrashAgain(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(600_000)
	c := f.create(body)
	for range 3 {
		u := f.begin(c)
		f.write(u, body[:500_000])
		f.crash()
		f.wantNoStrays()
		f.wantUsage(0, 0, 0)
	}
	f.upload(c, body)
	f.wantBody(c, body)
	f.config.Clock.Advance(TTL + grace)
	f.crash()
	if n := f.expire(); n != 1 {
		t.Errorf("%d expired", n)
	}
	f.wantUsage(0, 0, 0)
}
