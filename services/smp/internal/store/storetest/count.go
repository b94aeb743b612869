package storetest

import (
	"errors"
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
)

var countCases = []testCase{
	{"creation and deletion", testCount},
	{"concurrent", testCountConcurrent},
}

// wantCount checks the number of queues, now and after a restart, if there can be one.
func (f *fixture) wantCount(want int64) {
	f.t.Helper()
	if got := f.Count(); got != want {
		f.t.Fatalf("%d queues, want %d", got, want)
	}
	if f.Reopen == nil {
		return
	}
	f.reopen()
	if got := f.Count(); got != want {
		f.t.Fatalf("%d queues after a restart, want %d", got, want)
	}
}

func testCount(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	f.wantCount(0)
	first, second := f.create(), f.create()
	f.wantCount(2)
	again := NewQueue(t)
	again.SenderID = second.SenderID
	if err := f.Create(f.ctx, again, nil); !errors.Is(err, queue.ErrExists) {
		t.Fatalf("a sender id twice: %v", err)
	}
	f.wantCount(2)
	if err := f.Suspend(f.ctx, first.Ref); err != nil {
		t.Fatal(err)
	}
	f.wantCount(2)
	if err := f.Delete(f.ctx, first.Ref); err != nil {
		t.Fatal(err)
	}
	f.wantCount(1)
	if err := f.Delete(f.ctx, first.Ref); !errors.Is(err, queue.ErrNotFound) {
		t.Fatalf("deleted twice: %v", err)
	}
	f.wantCount(1)
}

func testCountConcurrent(t *testing.T, open Open) {
	f := newFixture(t, open, 4)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			q := NewQueue(t)
			if err := f.Create(f.ctx, q, nil); err != nil {
				t.Error(err)
				return
			}
			for range 2 { // of which one finds it
				wg.Go(func() {
					if err := f.Delete(f.ctx, q.Ref); err != nil && !errors.Is(err, queue.ErrNotFound) {
						t.Error(err)
					}
				})
			}
		})
		f.create()
	}
	wg.Wait()
	f.wantCount(8)
}
