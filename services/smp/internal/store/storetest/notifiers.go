package storetest

import (
	"errors"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

var notifierCases = []testCase{
	{"set, replace, delete", testSetNotifier},
	{"ids that are taken", testNotifierExists},
	{"concurrently", testNotifierRace},
	{"associate", testAssociate},
	{"services", testServices},
	{"one service of many", testServiceRace},
}

// NewNotifier returns credentials with random id, key and secret, not stored yet.
func NewNotifier(t testing.TB) *queue.Notifier {
	t.Helper()
	n := &queue.Notifier{ID: randomID(), Key: RandomKey(t, key.Ed25519)}
	n.DHSecret = queue.Secret(randomSecret())
	return n
}

func randomSecret() (s [32]byte) {
	a, b := randomID(), randomID()
	copy(s[copy(s[:], a[:]):], b[:])
	return s
}

// byNotifier is byRecipient for a notifier id.
func (f *fixture) byNotifier(id queue.ID, fresh bool) *queue.Queue {
	f.t.Helper()
	found, err := f.ByNotifier(f.ctx, []queue.ID{id}, fresh)
	if err != nil {
		f.t.Fatalf("by notifier: %v", err)
	}
	return found.Queues[0]
}

// setNotifier gives q new credentials, and checks what they replace.
func (f *fixture) setNotifier(q *queue.Queue, replaces queue.ID) *queue.Notifier {
	f.t.Helper()
	n := NewNotifier(f.t)
	replaced, err := f.SetNotifier(f.ctx, q.Ref, n)
	if err != nil {
		f.t.Fatalf("set notifier: %v", err)
	}
	if replaced.ID != replaces || !replaced.Service.IsZero() {
		f.t.Fatal("it replaces another notifier than it says")
	}
	return n
}

// wantNotifier looks q up in all ways; its notifier is want, nil for none.
func (f *fixture) wantNotifier(q *queue.Queue, want *queue.Notifier) {
	f.t.Helper()
	for _, fresh := range []bool{false, true} {
		for _, got := range []*queue.Queue{f.byRecipient(q.RecipientID, fresh), f.bySender(q.SenderID, fresh)} {
			if (got.Notifier == nil) != (want == nil) || (want != nil && *got.Notifier != *want) {
				f.t.Fatalf("another notifier than expected (fresh: %t)", fresh)
			}
		}
		if want == nil {
			continue
		}
		if got := f.byNotifier(want.ID, fresh); got == nil || got.Ref != q.Ref {
			f.t.Fatalf("the queue is not found by its notifier (fresh: %t)", fresh)
		}
	}
}

// wantNoNotifier checks that an id leads nowhere.
func (f *fixture) wantNoNotifier(id queue.ID) {
	f.t.Helper()
	for _, fresh := range []bool{false, true} {
		if f.byNotifier(id, fresh) != nil {
			f.t.Fatalf("a notifier that is gone is found (fresh: %t)", fresh)
		}
	}
}

// Spec: smp.md 9.8
func testSetNotifier(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q := f.create()
	f.wantNotifier(q, nil)
	first := f.setNotifier(q, queue.ID{})
	f.wantNotifier(q, first)
	second := f.setNotifier(q, first.ID)
	f.wantNotifier(q, second)
	f.wantNoNotifier(first.ID)
	if removed, err := f.DeleteNotifier(f.ctx, q.Ref); err != nil || removed != (queue.Ended{ID: second.ID}) {
		t.Fatalf("delete: %v", err)
	}
	f.wantNoNotifier(second.ID)
	f.wantNotifier(q, nil)
	if removed, err := f.DeleteNotifier(f.ctx, q.Ref); err != nil || removed != (queue.Ended{}) {
		t.Fatalf("delete again: %v", err)
	}
	third := f.setNotifier(q, queue.ID{})
	if f.Reopen != nil {
		f.reopen()
	}
	f.wantNotifier(q, third)
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		t.Fatal(err)
	}
	f.wantNoNotifier(third.ID)
	if _, err := f.SetNotifier(f.ctx, q.Ref, NewNotifier(t)); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("set in a queue that is gone: %v", err)
	}
	if _, err := f.DeleteNotifier(f.ctx, q.Ref); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("delete in a queue that is gone: %v", err)
	}
}

// Spec: smp.md 9.8
func testNotifierExists(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	one, two := f.create(), f.create()
	first, second := f.setNotifier(one, queue.ID{}), f.setNotifier(two, queue.ID{})
	taken := *first
	if _, err := f.SetNotifier(f.ctx, two.Ref, &taken); !errors.Is(err, queue.ErrExists) {
		t.Fatalf("an id that is taken: %v", err)
	}
	f.wantNotifier(one, first)
	f.wantNotifier(two, second) // it keeps what it had
	if err := f.Delete(f.ctx, one.Ref); err != nil {
		t.Fatal(err)
	}
}

// testNotifierRace sets, deletes and looks up the notifier of a queue, and deletes the queue, all at once.
func testNotifierRace(t *testing.T, open Open) {
	const rounds, callers = 10, 4
	f := newFixture(t, open, 3)
	for range rounds {
		q := f.create()
		var mu sync.Mutex
		made, ended := make(map[queue.ID]bool), make(map[queue.ID]int)
		var wait sync.WaitGroup
		for c := range callers {
			wait.Go(func() {
				for i := range 10 {
					var n *queue.Notifier
					var old queue.Ended
					var err error
					if (c+i)%3 == 0 {
						old, err = f.DeleteNotifier(f.ctx, q.Ref)
					} else {
						n = NewNotifier(t)
						old, err = f.SetNotifier(f.ctx, q.Ref, n)
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if n != nil {
						made[n.ID] = true
					}
					if !old.ID.IsZero() {
						ended[old.ID]++
					}
					mu.Unlock()
				}
			})
		}
		wait.Wait()
		// Each that was made was ended once, but for the last, if the queue has one.
		left := len(made) - len(ended)
		record := f.byRecipient(q.RecipientID, true)
		if n := record.Notifier; n != nil {
			if !made[n.ID] || ended[n.ID] != 0 || left != 1 {
				t.Fatalf("%d notifiers were not ended, one of them present", left)
			}
			f.wantNotifier(q, n)
		} else if left != 0 {
			t.Fatalf("%d notifiers were not ended", left)
		}
		for id, times := range ended {
			if times != 1 || !made[id] {
				t.Fatalf("a notifier was ended %d times", times)
			}
			f.wantNoNotifier(id)
		}
		f.endWhileSet(q)
	}
}

// endWhileSet deletes the queue while it is given notifiers: none is left behind.
func (f *fixture) endWhileSet(q *queue.Queue) {
	f.t.Helper()
	var wait sync.WaitGroup
	var mu sync.Mutex
	var made []queue.ID
	for range 3 {
		wait.Go(func() {
			for {
				n := NewNotifier(f.t)
				_, err := f.SetNotifier(f.ctx, q.Ref, n)
				if errors.Is(err, queue.ErrNotFound) {
					return
				}
				if err != nil {
					f.t.Error(err)
					return
				}
				mu.Lock()
				made = append(made, n.ID)
				mu.Unlock()
			}
		})
	}
	if err := f.Delete(f.ctx, q.Ref); err != nil {
		f.t.Error(err)
	}
	wait.Wait()
	for _, id := range made {
		f.wantNoNotifier(id)
	}
}
