package storetest

import (
	"errors"
	"testing"

	"sotto/services/smp/internal/queue"
)

var moderationCases = []testCase{
	{"block and unblock", testBlock},
	{"of a suspended queue", testBlockSuspended},
	{"of an unknown queue", testBlockUnknown},
	{"after reopen", testBlockReopen},
}

// wantStatus looks q up, from memory and from the database.
func (f *fixture) wantStatus(q *queue.Queue, status queue.Status, b queue.Blocking) {
	f.t.Helper()
	for _, fresh := range []bool{false, true} {
		found := f.byRecipient(q.RecipientID, fresh)
		if found == nil {
			f.t.Fatal("the queue is gone")
		}
		if found.Status != status || found.Blocking != b {
			f.t.Fatalf("fresh %t: %c %+v, want %c %+v", fresh, found.Status, found.Blocking, status, b)
		}
	}
}

func (f *fixture) block(q *queue.Queue, b queue.Blocking) {
	f.t.Helper()
	if err := f.Block(f.ctx, q.Ref, b); err != nil {
		f.t.Fatalf("block: %v", err)
	}
}

func (f *fixture) unblock(q *queue.Queue) {
	f.t.Helper()
	if err := f.Unblock(f.ctx, q.Ref); err != nil {
		f.t.Fatalf("unblock: %v", err)
	}
}

func (f *fixture) suspend(q *queue.Queue) {
	f.t.Helper()
	if err := f.Suspend(f.ctx, q.Ref); err != nil {
		f.t.Fatalf("suspend: %v", err)
	}
}

func testBlock(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q, other := f.create(), f.create()
	m := f.put(q.Ref, "kept")
	f.unblock(q)
	f.wantStatus(q, queue.Active, queue.Blocking{})
	b := queue.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 86400}
	f.block(q, b)
	f.wantStatus(q, queue.Blocked, b)
	f.block(q, queue.Blocking{Reason: "spam"})
	f.wantStatus(q, queue.Blocked, queue.Blocking{Reason: "spam"})
	f.wantStatus(other, queue.Active, queue.Blocking{})
	f.unblock(q)
	f.unblock(q)
	f.wantStatus(q, queue.Active, queue.Blocking{})
	wantMessage(t, f.head(q.Ref), m)
}

// testBlockSuspended: what the owner has suspended, before or since, an operator does not make active.
func testBlockSuspended(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	before, since := f.create(), f.create()
	f.suspend(before)
	f.unblock(before)
	f.wantStatus(before, queue.Off, queue.Blocking{})
	f.block(before, queue.Blocking{Reason: "spam"})
	f.block(before, queue.Blocking{Reason: "content"})
	f.wantStatus(before, queue.Blocked, queue.Blocking{Reason: "content", WasOff: true})
	f.unblock(before)
	f.wantStatus(before, queue.Off, queue.Blocking{})

	f.block(since, queue.Blocking{Reason: "spam", HasNotice: true, WasOff: true}) // not for the caller to say
	f.wantStatus(since, queue.Blocked, queue.Blocking{Reason: "spam", HasNotice: true})
	f.suspend(since)
	f.wantStatus(since, queue.Off, queue.Blocking{})
	f.unblock(since)
	f.wantStatus(since, queue.Off, queue.Blocking{})
}

func testBlockUnknown(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q := f.create()
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []queue.Ref{q.Ref, q.Ref + 1000} {
		if err := f.Block(f.ctx, ref, queue.Blocking{Reason: "spam"}); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("block: %v", err)
		}
		if err := f.Unblock(f.ctx, ref); !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("unblock: %v", err)
		}
	}
}

func testBlockReopen(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	blocked, suspended, unblocked := f.create(), f.create(), f.create()
	f.suspend(suspended)
	b := queue.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 60}
	for _, q := range []*queue.Queue{blocked, suspended, unblocked} {
		f.block(q, b)
	}
	f.unblock(unblocked)
	f.reopen()
	f.wantStatus(blocked, queue.Blocked, b)
	f.wantStatus(unblocked, queue.Active, queue.Blocking{})
	b.WasOff = true
	f.wantStatus(suspended, queue.Blocked, b)
	f.unblock(suspended)
	f.wantStatus(suspended, queue.Off, queue.Blocking{})
}
