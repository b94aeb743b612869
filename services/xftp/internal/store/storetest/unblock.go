package storetest

import (
	"testing"

	"sotto/services/xftp/internal/chunk"
)

var unblockCases = []testCase{
	{"unblock", testUnblock},
	{"unblock what is not blocked", testUnblockActive},
}

// A chunk that was blocked by mistake can be uploaded again, to the same recipients.
func testUnblock(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	rs := NewRecipients(t, 1)
	body := NewBody(100_000)
	c := f.put(body, rs...)
	if err := f.Block(f.ctx, c.Ref, chunk.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 60}); err != nil {
		t.Fatal(err)
	}
	if err := f.Unblock(f.ctx, c.Ref); err != nil {
		t.Fatal(err)
	}
	c.Uploaded = false
	f.wantRecord(c)
	f.wantRecipient(rs[0], c)
	f.wantUsage(0, 0, 0)
	_, err := f.Download(f.ctx, c)
	wantErr(t, "download", err, chunk.ErrNoBody)
	f.upload(c, body)
	f.wantBody(c, body)
	f.wantUsage(1, 100_000, 0)
	f.wantNoStrays()
}

func testUnblockActive(t *testing.T, open Open) {
	f := newFixture(t, open, 0)
	body := NewBody(1000)
	c := f.put(body)
	if err := f.Unblock(f.ctx, c.Ref); err != nil {
		t.Fatal(err)
	}
	c.Uploaded = true
	f.wantRecord(c)
	f.wantBody(c, body)
	if err := f.Delete(f.ctx, c.Ref); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "unblock", f.Unblock(f.ctx, c.Ref), chunk.ErrNotFound)
}
