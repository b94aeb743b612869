package storetest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

var queueCases = []testCase{
	{"create and look up", testCreate},
	{"every field survives", testFields},
	{"four indexes", testIndexes},
	{"ids that are taken", testExists},
	{"records are shared", testRecordsImmutable},
	{"cached and fresh", testFresh},
	{"secure", testSecure},
	{"secure concurrently", testSecureConcurrently},
	{"recipient keys", testRecipientKeys},
	{"suspend", testSuspend},
	{"links", testLinks},
	{"delete", testDelete},
	{"create concurrently", testCreateConcurrently},
}

// byRecipient returns the record with this recipient id, read afresh or from the store's cache.
func (f *fixture) byRecipient(id queue.ID, fresh bool) *queue.Queue {
	f.t.Helper()
	found, err := f.ByRecipient(f.ctx, []queue.ID{id}, fresh)
	if err != nil {
		f.t.Fatalf("by recipient: %v", err)
	}
	return found.Queues[0]
}

// bySender is byRecipient for a sender id.
func (f *fixture) bySender(id queue.ID, fresh bool) *queue.Queue {
	f.t.Helper()
	found, err := f.BySender(f.ctx, []queue.ID{id}, fresh)
	if err != nil {
		f.t.Fatalf("by sender: %v", err)
	}
	return found.Queues[0]
}

// wantRecord looks want up in all four ways and compares each record found with it.
func (f *fixture) wantRecord(want *queue.Queue) {
	f.t.Helper()
	for _, fresh := range []bool{false, true} {
		sameRecord(f.t, f.byRecipient(want.RecipientID, fresh), want)
		sameRecord(f.t, f.bySender(want.SenderID, fresh), want)
	}
}

func sameRecord(t *testing.T, got, want *queue.Queue) {
	t.Helper()
	switch {
	case got == nil:
		t.Fatal("queue not found")
	case got.Ref != want.Ref || got.RecipientID != want.RecipientID || got.SenderID != want.SenderID:
		t.Fatal("another queue, or other ids")
	case !slices.Equal(got.RecipientKeys, want.RecipientKeys):
		t.Fatal("other recipient keys")
	case got.DHSecret != want.DHSecret || got.SenderKey != want.SenderKey:
		t.Fatal("another secret or sender key")
	case got.Mode != want.Mode || got.Status != want.Status || got.Blocking != want.Blocking:
		t.Fatalf("mode %d status %d, want %d %d, or another blocking", got.Mode, got.Status, want.Mode, want.Status)
	case got.HasLink != want.HasLink || got.LinkID != want.LinkID:
		t.Fatal("another link")
	case got.UpdatedDay != want.UpdatedDay:
		t.Fatalf("day %d, want %d", got.UpdatedDay, want.UpdatedDay)
	}
}

func testCreate(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	a, b := f.create(), f.create()
	if a.Ref == b.Ref || a.Ref <= 0 {
		t.Fatalf("refs %d and %d", a.Ref, b.Ref)
	}
	f.wantRecord(a)
	f.wantRecord(b)

	found, err := f.ByRecipient(f.ctx, []queue.ID{b.RecipientID, randomID(), a.RecipientID, b.RecipientID}, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Queues) != 4 || len(found.Cached) != 4 {
		t.Fatalf("%d records, %d flags", len(found.Queues), len(found.Cached))
	}
	sameRecord(t, found.Queues[0], b)
	sameRecord(t, found.Queues[2], a)
	sameRecord(t, found.Queues[3], b)
	if found.Queues[1] != nil || found.Cached[1] {
		t.Fatal("an unknown id was found, or remembered as unknown")
	}
	if found, err := f.BySender(f.ctx, nil, false); err != nil || len(found.Queues) != 0 {
		t.Fatal("looking up nothing")
	}
}

func testFields(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	for name, edit := range map[string]func(*queue.Queue){
		"plain":   func(*queue.Queue) {},
		"contact": func(q *queue.Queue) { q.Mode = queue.ModeContact },
		"no mode": func(q *queue.Queue) { q.Mode = queue.ModeNone },
		"off":     func(q *queue.Queue) { q.Status = queue.Off },
		"old":     func(q *queue.Queue) { q.UpdatedDay = 1 },
		"secured": func(q *queue.Queue) { q.SenderKey = RandomKey(t, key.X25519) },
		"ed448":   func(q *queue.Queue) { q.SenderKey = RandomKey(t, key.Ed448) },
		"many keys": func(q *queue.Queue) {
			q.RecipientKeys = append(q.RecipientKeys, RandomKey(t, key.Ed448), RandomKey(t, key.X25519))
		},
		"blocked": func(q *queue.Queue) {
			q.Status, q.Blocking = queue.Blocked, queue.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 86400}
		},
		"blocked without notice": func(q *queue.Queue) {
			q.Status, q.Blocking = queue.Blocked, queue.Blocking{Reason: "spam"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := NewQueue(t)
			edit(q)
			if err := f.Create(f.ctx, q, nil); err != nil {
				t.Fatal(err)
			}
			sub := *f
			sub.t = t
			sub.wantRecord(q)
		})
	}
}

// Spec: smp.md 8.1, four separate indexes.
func testIndexes(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	a := f.create()
	b := NewQueue(t)
	b.RecipientID, b.SenderID = a.SenderID, a.RecipientID
	b.HasLink, b.LinkID = true, a.RecipientID
	if err := f.Create(f.ctx, b, &queue.Link{ID: a.RecipientID}); err != nil {
		t.Fatalf("ids of other kinds are not taken: %v", err)
	}
	c := NewQueue(t)
	c.SenderID, c.HasLink, c.LinkID = c.RecipientID, true, c.RecipientID
	if err := f.Create(f.ctx, c, &queue.Link{ID: c.RecipientID}); err != nil {
		t.Fatalf("one id of three kinds: %v", err)
	}
	f.wantRecord(a)
	f.wantRecord(b)
	f.wantRecord(c)
}

func testExists(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	taken := NewQueue(t)
	taken.HasLink, taken.LinkID = true, randomID()
	if err := f.Create(f.ctx, taken, &queue.Link{ID: taken.LinkID}); err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*queue.Queue, *queue.Link){
		"recipient": func(q *queue.Queue, _ *queue.Link) { q.RecipientID = taken.RecipientID },
		"sender":    func(q *queue.Queue, _ *queue.Link) { q.SenderID = taken.SenderID },
		"link":      func(q *queue.Queue, l *queue.Link) { q.LinkID, l.ID = taken.LinkID, taken.LinkID },
	} {
		t.Run(name, func(t *testing.T) {
			q, link := NewQueue(t), &queue.Link{ID: randomID()}
			q.HasLink, q.LinkID = true, link.ID
			freeRecipient, freeSender, freeLink := q.RecipientID, q.SenderID, link.ID
			edit(q, link)
			if err := f.Create(f.ctx, q, link); !errors.Is(err, queue.ErrExists) {
				t.Fatalf("got %v", err)
			}
			if f.byRecipient(freeRecipient, false) != nil || f.bySender(freeSender, false) != nil {
				t.Fatal("part of the queue was stored")
			}
			q.RecipientID, q.SenderID, q.LinkID, link.ID = freeRecipient, freeSender, freeLink, freeLink
			if err := f.Create(f.ctx, q, link); err != nil {
				t.Fatalf("the ids that were not taken: %v", err)
			}
		})
	}
	f.wantRecord(taken)
}

func testRecordsImmutable(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := f.create()
	before := f.bySender(q.SenderID, false)
	q.Status = queue.Off // the caller's own record is not the store's
	if f.bySender(q.SenderID, false).Status != queue.Active {
		t.Fatal("the store kept the caller's record")
	}
	if err := f.Secure(f.ctx, q.Ref, RandomKey(t, key.Ed25519)); err != nil {
		t.Fatal(err)
	}
	if before.Secured() {
		t.Fatal("a record that was handed out has changed")
	}
	if !f.bySender(q.SenderID, false).Secured() || !f.byRecipient(q.RecipientID, false).Secured() {
		t.Fatal("the change is not seen")
	}
}

func testFresh(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := f.create()
	f.byRecipient(q.RecipientID, false)
	again, err := f.ByRecipient(f.ctx, []queue.ID{q.RecipientID}, false)
	if err != nil || !again.Cached[0] {
		t.Fatalf("a second look-up is not cached (%v)", err)
	}
	fresh, err := f.ByRecipient(f.ctx, []queue.ID{q.RecipientID, randomID()}, true)
	if err != nil || fresh.Cached[0] || fresh.Cached[1] {
		t.Fatalf("a fresh look-up is cached (%v)", err)
	}
	if fresh.Queues[0] == nil || fresh.Queues[1] != nil {
		t.Fatal("another result than from the cache")
	}
}

// Spec: smp.md 8.2.
func testSecure(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := f.create()
	k, other := RandomKey(t, key.X25519), RandomKey(t, key.X25519)
	for range 2 {
		if err := f.Secure(f.ctx, q.Ref, k); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Secure(f.ctx, q.Ref, other); !errors.Is(err, queue.ErrSecured) {
		t.Fatalf("another key: %v", err)
	}
	q.SenderKey = k
	f.wantRecord(q)
	if err := f.Secure(f.ctx, q.Ref+1000, k); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("no such queue: %v", err)
	}
}

func testSecureConcurrently(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := f.create()
	const callers = 8
	keys := make([]key.Public, callers)
	errs := make([]error, callers)
	for i := range keys {
		keys[i] = RandomKey(t, key.Ed25519)
	}
	var wait sync.WaitGroup
	for i := range callers {
		wait.Go(func() { errs[i] = f.Secure(f.ctx, q.Ref, keys[i]) })
	}
	wait.Wait()
	winners := 0
	for i, err := range errs {
		switch {
		case err == nil:
			winners++
			q.SenderKey = keys[i]
		case !errors.Is(err, queue.ErrSecured):
			t.Fatal(err)
		}
	}
	if winners != 1 {
		t.Fatalf("%d keys were accepted", winners)
	}
	f.wantRecord(q)
}

func testRecipientKeys(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := f.create()
	for _, n := range []int{3, 1, 2} {
		q.RecipientKeys = nil
		for range n {
			q.RecipientKeys = append(q.RecipientKeys, RandomKey(t, key.Ed25519))
		}
		given := slices.Clone(q.RecipientKeys)
		if err := f.SetRecipientKeys(f.ctx, q.Ref, given); err != nil {
			t.Fatal(err)
		}
		given[0] = RandomKey(t, key.X25519)
		f.wantRecord(q)
	}
	if err := f.SetRecipientKeys(f.ctx, q.Ref+1000, q.RecipientKeys); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("no such queue: %v", err)
	}
}

// Spec: smp.md 8.3.
func testSuspend(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	active, blocked := f.create(), NewQueue(t)
	blocked.Status, blocked.Blocking = queue.Blocked, queue.Blocking{Reason: "spam"}
	if err := f.Create(f.ctx, blocked, nil); err != nil {
		t.Fatal(err)
	}
	for _, q := range []*queue.Queue{active, blocked} {
		for range 2 {
			if err := f.Suspend(f.ctx, q.Ref); err != nil {
				t.Fatal(err)
			}
		}
		q.Status, q.Blocking = queue.Off, queue.Blocking{}
		f.wantRecord(q)
	}
	if err := f.Suspend(f.ctx, blocked.Ref+1000); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("no such queue: %v", err)
	}
}

func testLinks(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q := NewQueue(t)
	link := &queue.Link{ID: randomID(), FixedData: make([]byte, 2048), UserData: make([]byte, 13824)}
	if err := f.Create(f.ctx, q, link); err != nil {
		t.Fatal(err)
	}
	q.HasLink, q.LinkID = true, link.ID
	f.wantRecord(q)
	for range 2 {
		if err := f.DeleteLink(f.ctx, q.Ref); err != nil {
			t.Fatal(err)
		}
		q.HasLink, q.LinkID = false, queue.ID{}
		f.wantRecord(q)
	}
	if err := f.DeleteLink(f.ctx, f.create().Ref); err != nil {
		t.Fatalf("a queue without a link: %v", err)
	}
}

// Spec: smp.md 9.7.
func testDelete(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q, other := NewQueue(t), f.create()
	if err := f.Create(f.ctx, q, &queue.Link{ID: randomID()}); err != nil {
		t.Fatal(err)
	}
	f.put(q.Ref, "one")
	f.put(q.Ref, "two")
	f.put(other.Ref, "three")
	f.wantRecord(other)
	f.byRecipient(q.RecipientID, false)
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	if err := f.Delete(f.ctx, q.Ref); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("a second time: %v", err)
	}
	for _, fresh := range []bool{false, true} {
		if f.byRecipient(q.RecipientID, fresh) != nil || f.bySender(q.SenderID, fresh) != nil {
			t.Fatal("an id of the deleted queue still resolves")
		}
	}
	f.wantGone(q.Ref)
	f.wantRecord(other)
	if f.size(other.Ref) != 1 {
		t.Fatal("the messages of another queue")
	}
	if f.Rows != nil && f.Rows(t) != 1 {
		t.Fatal("messages of the deleted queue remain")
	}
}

// wantGone checks that every method says that q does not exist.
func (f *fixture) wantGone(q queue.Ref) {
	f.t.Helper()
	heads := make([]queue.Head, 2)
	f.Heads(f.ctx, []queue.Ref{q}, heads)
	f.Acknowledge(f.ctx, []queue.Acknowledgement{{Queue: q, ID: randomMessageID()}}, heads[1:])
	_, _, sizeErr := f.Size(f.ctx, q)
	for name, err := range map[string]error{
		"append":      f.append1(q, NewMessage(nil)).Err,
		"heads":       heads[0].Err,
		"acknowledge": heads[1].Err,
		"size":        sizeErr,
		"suspend":     f.Suspend(f.ctx, q),
		"secure":      f.Secure(f.ctx, q, RandomKey(f.t, key.Ed25519)),
	} {
		if !errors.Is(err, queue.ErrNotFound) {
			f.t.Fatalf("%s: %v", name, err)
		}
	}
	if has, err := f.NonEmpty(f.ctx, []queue.Ref{q}); err != nil || has[0] {
		f.t.Fatalf("non-empty: %t, %v", has, err)
	}
	if _, err := f.Expire(f.ctx, q, 1<<40); err != nil {
		f.t.Fatalf("expire: %v", err)
	}
}

func testCreateConcurrently(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	const callers = 8
	sender := randomID()
	errs := make([]error, callers)
	var wait sync.WaitGroup
	for i := range callers {
		q := NewQueue(t)
		q.SenderID = sender
		wait.Go(func() { errs[i] = f.Create(f.ctx, q, nil) })
	}
	wait.Wait()
	created := 0
	for _, err := range errs {
		if err == nil {
			created++
		} else if !errors.Is(err, queue.ErrExists) {
			t.Fatal(err)
		}
	}
	if created != 1 {
		t.Fatalf("%d queues with one sender id", created)
	}
}
