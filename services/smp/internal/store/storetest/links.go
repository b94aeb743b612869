package storetest

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

var linkCases = []testCase{
	{"set, read, replace, delete", testSetLink},
	{"refused", testLinkRefused},
	{"secure", testSecureLink},
	{"one id by two queues at once", testLinkRace},
	{"one link by two senders at once", testSecureLinkRace},
	{"set while it is secured", testSetLinkWhileSecured},
	{"after reopen", testLinkReopen},
}

// newLink is a link of the size that clients make.
func newLink(user string) *queue.Link {
	return &queue.Link{ID: randomID(), FixedData: bytes.Repeat([]byte{1}, 2048), UserData: []byte(user)}
}

func (f *fixture) setLink(q *queue.Queue, l *queue.Link) {
	f.t.Helper()
	if err := f.SetLink(f.ctx, q.Ref, l); err != nil {
		f.t.Fatalf("set link: %v", err)
	}
	q.HasLink, q.LinkID = true, l.ID
}

// byLink is byRecipient for a link id.
func (f *fixture) byLink(id queue.ID, fresh bool) *queue.Queue {
	f.t.Helper()
	found, err := f.ByLink(f.ctx, []queue.ID{id}, fresh)
	if err != nil {
		f.t.Fatalf("by link: %v", err)
	}
	return found.Queues[0]
}

// wantLink looks q up by its link, and reads that.
func (f *fixture) wantLink(q *queue.Queue, l *queue.Link) {
	f.t.Helper()
	f.wantRecord(q)
	for _, fresh := range []bool{false, true} {
		sameRecord(f.t, f.byLink(l.ID, fresh), q)
	}
	got, err := f.Link(f.ctx, q.Ref, l.ID)
	if err != nil {
		f.t.Fatalf("read link: %v", err)
	}
	sameLink(f.t, got, l)
}

func sameLink(t *testing.T, got, want *queue.Link) {
	t.Helper()
	if got.ID != want.ID || !bytes.Equal(got.FixedData, want.FixedData) || !bytes.Equal(got.UserData, want.UserData) {
		t.Fatal("another link, or other data")
	}
}

func (f *fixture) wantNoLink(q *queue.Queue, id queue.ID) {
	f.t.Helper()
	f.wantRecord(q)
	for _, fresh := range []bool{false, true} {
		if f.byLink(id, fresh) != nil {
			f.t.Fatal("the id of a link that is gone still resolves")
		}
	}
	if _, err := f.Link(f.ctx, q.Ref, id); !errors.Is(err, queue.ErrNotFound) {
		f.t.Fatalf("read link: %v", err)
	}
}

func testSetLink(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q, l := f.create(), newLink("one")
	f.wantNoLink(q, l.ID)
	f.setLink(q, l)
	f.wantLink(q, l)
	for _, user := range []string{"two", "", "two"} {
		l.UserData = []byte(user)
		f.setLink(q, l)
		f.wantLink(q, l)
	}
	given := l.UserData
	f.setLink(q, l)
	given[0] ^= 1 // the block that it came in is reused
	l.UserData = []byte("two")
	f.wantLink(q, l)
	for range 2 {
		if err := f.DeleteLink(f.ctx, q.Ref); err != nil {
			t.Fatal(err)
		}
		q.HasLink, q.LinkID = false, queue.ID{}
		f.wantNoLink(q, l.ID)
	}
	other := newLink("other")
	f.setLink(q, other)
	f.wantLink(q, other)
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	if f.byLink(other.ID, false) != nil || f.byLink(other.ID, true) != nil {
		t.Fatal("the link of a deleted queue")
	}
	for name, err := range map[string]error{
		"set": f.SetLink(f.ctx, q.Ref, other), "delete": f.DeleteLink(f.ctx, q.Ref),
	} {
		if !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func testLinkRefused(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q, other, l := f.create(), f.create(), newLink("user")
	f.setLink(q, l)
	refuse := func(what string, q *queue.Queue, l *queue.Link, want error) {
		t.Helper()
		if err := f.SetLink(f.ctx, q.Ref, l); !errors.Is(err, want) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	refuse("another id", q, &queue.Link{ID: randomID(), FixedData: l.FixedData}, queue.ErrExists)
	refuse("other fixed data", q, &queue.Link{ID: l.ID, FixedData: []byte("x")}, queue.ErrExists)
	refuse("no fixed data", q, &queue.Link{ID: l.ID}, queue.ErrExists)
	refuse("an id that is taken", other, l, queue.ErrExists)
	mine := newLink("mine")
	f.setLink(other, mine)
	refuse("an id that is taken, by one with a link", other, &queue.Link{ID: l.ID, FixedData: mine.FixedData}, queue.ErrExists)
	f.wantLink(q, l)
	f.wantLink(other, mine)
	for _, mode := range []queue.Mode{queue.ModeMessaging, queue.ModeContact, queue.ModeNone} {
		secured, l := NewQueue(t), newLink("late")
		secured.Mode, secured.SenderKey = mode, RandomKey(t, key.Ed25519)
		if err := f.Create(f.ctx, secured, nil); err != nil {
			t.Fatal(err)
		}
		if mode == queue.ModeContact {
			f.setLink(secured, l)
			f.wantLink(secured, l)
			continue
		}
		refuse("a secured messaging queue", secured, l, queue.ErrSecured)
		f.wantNoLink(secured, l.ID)
	}
}

func testSecureLink(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	q, l, k := f.create(), newLink("user"), RandomKey(t, key.X25519)
	if _, err := f.SecureLink(f.ctx, q.Ref, l.ID, k); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("no link: %v", err)
	}
	f.setLink(q, l)
	if _, err := f.SecureLink(f.ctx, q.Ref, randomID(), k); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("another link: %v", err)
	}
	f.wantLink(q, l) // and not secured
	q.SenderKey = k
	for range 2 {
		got, err := f.SecureLink(f.ctx, q.Ref, l.ID, k)
		if err != nil {
			t.Fatal(err)
		}
		sameLink(t, got, l)
		f.wantLink(q, l)
	}
	if _, err := f.SecureLink(f.ctx, q.Ref, l.ID, RandomKey(t, key.X25519)); !errors.Is(err, queue.ErrSecured) {
		t.Fatalf("another key: %v", err)
	}
	if err := f.SetLink(f.ctx, q.Ref, l); !errors.Is(err, queue.ErrSecured) {
		t.Fatalf("set after that: %v", err)
	}
	f.wantLink(q, l)
	if err := f.DeleteLink(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	q.HasLink, q.LinkID = false, queue.ID{}
	if _, err := f.SecureLink(f.ctx, q.Ref, l.ID, k); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("a deleted link: %v", err)
	}
	f.wantNoLink(q, l.ID)
}

func testLinkRace(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	for range 20 {
		const callers = 4
		l := newLink("user")
		var queues [callers]*queue.Queue
		var errs [callers]error
		var wait sync.WaitGroup
		for i := range queues {
			queues[i] = f.create()
			wait.Go(func() { errs[i] = f.SetLink(f.ctx, queues[i].Ref, l) })
		}
		wait.Wait()
		won := 0
		for i, q := range queues {
			switch {
			case errs[i] == nil:
				won++
				q.HasLink, q.LinkID = true, l.ID
				f.wantLink(q, l)
			case errors.Is(errs[i], queue.ErrExists):
				f.wantRecord(q)
			default:
				t.Fatal(errs[i])
			}
		}
		if won != 1 {
			t.Fatalf("%d queues have the link", won)
		}
	}
}

func testSecureLinkRace(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	for range 20 {
		q, l := f.create(), newLink("user")
		f.setLink(q, l)
		keys := [4]key.Public{}
		var errs [len(keys)]error
		var wait sync.WaitGroup
		for i := range keys {
			keys[i] = RandomKey(t, key.Ed25519)
			wait.Go(func() { _, errs[i] = f.SecureLink(f.ctx, q.Ref, l.ID, keys[i]) })
		}
		wait.Wait()
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won++
				q.SenderKey = keys[i]
			case !errors.Is(err, queue.ErrSecured):
				t.Fatal(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d senders have the link", won)
		}
		f.wantLink(q, l)
	}
}

// testSetLinkWhileSecured: whoever takes a link gets the data that it has in the end.
func testSetLinkWhileSecured(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	for range 20 {
		q, old := f.create(), newLink("old")
		f.setLink(q, old)
		newer := &queue.Link{ID: old.ID, FixedData: old.FixedData, UserData: []byte("newer")}
		var taken *queue.Link
		var setErr, takeErr error
		var wait sync.WaitGroup
		q.SenderKey = RandomKey(t, key.Ed25519)
		wait.Go(func() { setErr = f.SetLink(f.ctx, q.Ref, newer) })
		wait.Go(func() { taken, takeErr = f.SecureLink(f.ctx, q.Ref, old.ID, q.SenderKey) })
		wait.Wait()
		if takeErr != nil || (setErr != nil && !errors.Is(setErr, queue.ErrSecured)) {
			t.Fatal(takeErr, setErr)
		}
		want := newer
		if setErr != nil {
			want = old
		}
		sameLink(t, taken, want)
		f.wantLink(q, want)
	}
}

func testLinkReopen(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	kept, taken, deleted := f.create(), f.create(), f.create()
	links := []*queue.Link{newLink("kept"), newLink("taken"), newLink("deleted")}
	for i, q := range []*queue.Queue{kept, taken, deleted} {
		f.setLink(q, newLink("first"))
		if err := f.DeleteLink(f.ctx, q.Ref); err != nil {
			t.Fatal(err)
		}
		f.setLink(q, links[i])
	}
	taken.SenderKey = RandomKey(t, key.Ed25519)
	if _, err := f.SecureLink(f.ctx, taken.Ref, links[1].ID, taken.SenderKey); err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteLink(f.ctx, deleted.Ref); err != nil {
		t.Fatal(err)
	}
	deleted.HasLink, deleted.LinkID = false, queue.ID{}
	f.reopen()
	f.wantLink(kept, links[0])
	f.wantLink(taken, links[1])
	f.wantNoLink(deleted, links[2].ID)
	got, err := f.SecureLink(f.ctx, taken.Ref, links[1].ID, taken.SenderKey)
	if err != nil {
		t.Fatal(err)
	}
	sameLink(t, got, links[1])
}
