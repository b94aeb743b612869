package storetest

import (
	"errors"
	"testing"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

var reopenCases = []testCase{
	{"records", testReopenRecords},
	{"messages and marker", testReopenMessages},
	{"refs are not used again", testReopenRefs},
	{"touch", testReopenTouch},
}

// Spec: smp.md 8.1, records and messages survive restarts.
func testReopenRecords(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	kept, deleted, linked := f.create(), f.create(), NewQueue(t)
	link := &queue.Link{ID: randomID(), FixedData: []byte("fixed"), UserData: []byte("user")}
	if err := f.Create(f.ctx, linked, link); err != nil {
		t.Fatal(err)
	}
	linked.HasLink, linked.LinkID = true, link.ID
	kept.SenderKey, kept.Status = RandomKey(t, key.Ed25519), queue.Off
	kept.RecipientKeys = []key.Public{RandomKey(t, key.Ed448), RandomKey(t, key.Ed25519)}
	for _, err := range []error{
		f.Secure(f.ctx, kept.Ref, kept.SenderKey),
		f.SetRecipientKeys(f.ctx, kept.Ref, kept.RecipientKeys),
		f.Suspend(f.ctx, kept.Ref),
		f.Delete(f.ctx, deleted.Ref),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	f.reopen()
	f.wantRecord(kept)
	f.wantRecord(linked)
	if f.byRecipient(deleted.RecipientID, false) != nil {
		t.Fatal("the deleted queue is back")
	}
	f.wantGone(deleted.Ref)
	if err := f.Secure(f.ctx, kept.Ref, RandomKey(t, key.Ed25519)); !errors.Is(err, queue.ErrSecured) {
		t.Fatalf("secured before the restart: %v", err)
	}
	if err := f.DeleteLink(f.ctx, linked.Ref); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	linked.HasLink, linked.LinkID = false, queue.ID{}
	f.wantRecord(linked)
}

// Spec: smp.md 8.4, canWrite is restored on restart.
func testReopenMessages(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q, full := f.create(), f.create()
	one, two := f.put(q.Ref, "one"), f.put(q.Ref, "two")
	var want []*queue.Message
	for range 3 {
		want = append(want, f.put(full.Ref, "full"))
	}
	f.reopen()
	refused := f.refuse(full.Ref) // full, but no marker yet
	f.reopen()
	f.refuse(full.Ref) // the marker keeps it closed
	wantMessage(t, f.head(q.Ref), one)
	f.ack(q.Ref, one.ID)
	f.reopen()
	wantMessage(t, f.head(q.Ref), two)
	three := f.put(q.Ref, "three")
	wantMessages(t, f.drain(q.Ref), []*queue.Message{two, three})

	for _, m := range want {
		wantMessage(t, f.head(full.Ref), m)
		f.ack(full.Ref, m.ID)
		f.reopen()
		f.refuse(full.Ref)
	}
	wantMessage(t, f.head(full.Ref), marker(refused))
	f.ack(full.Ref, refused.ID)
	f.reopen()
	for range 3 {
		f.put(full.Ref, "accepted")
	}
	f.refuse(full.Ref)
}

func testReopenRefs(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q := f.create()
	f.put(q.Ref, "one")
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	f.reopen()
	if next := f.create(); next.Ref <= q.Ref {
		t.Fatalf("ref %d after %d", next.Ref, q.Ref)
	}
	if f.Rows != nil && f.Rows(t) != 0 {
		t.Fatal("messages of the deleted queue remain")
	}
}

func testReopenTouch(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q, other := f.create(), f.create()
	record := f.byRecipient(q.RecipientID, false)
	for _, day := range []int64{20001, 20002, 20002, 20001} {
		f.Touch(record, day)
	}
	f.reopen()
	q.UpdatedDay = 20002
	f.wantRecord(q)
	f.wantRecord(other)
}
