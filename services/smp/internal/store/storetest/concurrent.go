package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"sotto/services/smp/internal/queue"
)

var concurrentCases = []testCase{
	{"appends keep order and quota", testConcurrentAppend},
	{"no message is left behind", testPush},
	{"no message is left behind, small quota", testPushQuota},
	{"each message is removed once", testConcurrentAcknowledge},
	{"delete leaves no rows", testDeleteRace},
	{"expiry under load", testExpireRace},
	{"many queues", testManyQueues},
}

// testConcurrentAppend fills one queue from many callers: exactly the quota is accepted, one marker follows, and
// the messages of each caller keep their order.
func testConcurrentAppend(t *testing.T, open Open) {
	const quota, callers, each = 100, 16, 10
	f := newFixture(t, open, quota)
	q := f.create()
	var accepted, first atomic.Int64
	var wait sync.WaitGroup
	for c := range callers {
		wait.Go(func() {
			for i := range each {
				r := f.append1(q.Ref, NewMessage([]byte{byte(c), byte(i)}))
				if r.WasEmpty {
					first.Add(1)
				}
				if r.Err == nil {
					accepted.Add(1)
				} else if !errors.Is(r.Err, queue.ErrQuota) {
					t.Error(r.Err)
				}
			}
		})
	}
	wait.Wait()
	if accepted.Load() != quota || first.Load() != 1 {
		t.Fatalf("%d accepted, %d found the queue empty", accepted.Load(), first.Load())
	}
	if f.Reopen != nil {
		f.reopen()
	}
	all := f.drain(q.Ref)
	if len(all) != quota+1 || !all[quota].Quota {
		t.Fatalf("%d entries", len(all))
	}
	last := make(map[byte]int)
	for _, m := range all[:quota] {
		c, i := m.Body[0], int(m.Body[1])
		if before, ok := last[c]; ok && i <= before {
			t.Fatalf("message %d of caller %d comes after %d", i, c, before)
		}
		last[c] = i
	}
}

func testPush(t *testing.T, open Open) { push(t, open, 1000, 4, 150) }

func testPushQuota(t *testing.T, open Open) { push(t, open, 2, 4, 60) }

// push lets senders append while a recipient takes messages as a subscriber does: it looks only when an append
// found the queue empty, and then goes on acknowledging until the queue has no head. If WasEmpty is ever false
// when it should be true, the recipient sleeps forever and the test times out. A marker may be what finds
// the queue empty; then WasEmpty comes with ErrQuota. Spec: smp.md 10.2.
func push(t *testing.T, open Open, quota, senders, each int) {
	f := newFixture(t, open, quota)
	q := f.create()
	wake := make(chan struct{}, 1)
	var wait sync.WaitGroup
	for s := range senders {
		wait.Go(func() {
			for i := 0; i < each; {
				r := f.append1(q.Ref, NewMessage(fmt.Appendf(nil, "%d %d", s, i)))
				if r.WasEmpty {
					select {
					case wake <- struct{}{}:
					default:
					}
				}
				switch {
				case r.Err == nil:
					i++
				case !errors.Is(r.Err, queue.ErrQuota):
					t.Error(r.Err)
					return
				case f.ctx.Err() != nil:
					return
				}
			}
		})
	}
	defer wait.Wait()
	next := make([]int, senders)
	for got := 0; got < senders*each; {
		select {
		case <-wake:
		case <-f.ctx.Done():
			t.Errorf("asleep after %d messages of %d", got, senders*each)
			return
		}
		for _, m := range f.drain(q.Ref) {
			if m.Quota {
				continue
			}
			var s, i int
			if _, err := fmt.Sscanf(string(m.Body), "%d %d", &s, &i); err != nil || i != next[s] {
				t.Errorf("message %d of sender %d, want %d", i, s, next[s])
				return
			}
			next[s]++
			got++
		}
	}
}

// testConcurrentAcknowledge has several connections acknowledge what is at the head; each message must go once.
func testConcurrentAcknowledge(t *testing.T, open Open) {
	const messages, callers = 100, 4
	f := newFixture(t, open, messages)
	q := f.create()
	want := make([]*queue.Message, messages)
	in := make([]queue.NewMessage, messages)
	for i := range want {
		want[i] = NewMessage([]byte{byte(i)})
		in[i] = queue.NewMessage{Queue: q.Ref, Message: want[i]}
	}
	f.Append(f.ctx, in, make([]queue.Appended, messages))
	if f.Reopen != nil {
		f.reopen()
	}
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			last := -1
			for m := f.head(q.Ref); m != nil; m = f.ack(q.Ref, m.ID) {
				if int(m.Body[0]) < last {
					t.Errorf("head %d after %d", m.Body[0], last)
				}
				last = int(m.Body[0])
			}
		})
	}
	wait.Wait()
	if f.size(q.Ref) != 0 {
		t.Fatal("entries are left")
	}
	one := f.put(q.Ref, "one")
	wantMessages(t, f.drain(q.Ref), []*queue.Message{one})
}

// testDeleteRace deletes queues while messages are appended to them, acknowledged and expired.
func testDeleteRace(t *testing.T, open Open) {
	const rounds, callers = 20, 4
	f := newFixture(t, open, 50)
	for range rounds {
		q := f.create()
		var wait sync.WaitGroup
		started := make(chan struct{}, callers)
		for c := range callers {
			wait.Go(func() {
				for i := 0; ; i++ {
					m := NewMessage([]byte("body"))
					r := f.append1(q.Ref, m)
					if i == 2 {
						started <- struct{}{}
					}
					if errors.Is(r.Err, queue.ErrNotFound) {
						return
					}
					if r.Err != nil && !errors.Is(r.Err, queue.ErrQuota) {
						t.Error(r.Err)
						return
					}
					if c == 0 {
						heads := make([]queue.Head, 1)
						f.Acknowledge(f.ctx, []queue.Acknowledgement{{Queue: q.Ref, ID: m.ID}}, heads)
					}
				}
			})
		}
		for range callers {
			<-started
		}
		if err := f.Delete(f.ctx, q.Ref); err != nil {
			t.Fatal(err)
		}
		wait.Wait()
		f.wantGone(q.Ref)
	}
	if f.Rows != nil {
		if n := f.Rows(t); n != 0 {
			t.Fatalf("%d rows of deleted queues", n)
		}
	}
}

// testExpireRace expires old messages while others are appended and acknowledged; every young one must arrive.
func testExpireRace(t *testing.T, open Open) {
	const messages = 200
	f := newFixture(t, open, 1000)
	q := f.create()
	done := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		defer close(done)
		for i := range messages {
			f.putAt(q.Ref, day)
			f.put(q.Ref, fmt.Sprint(i))
		}
	})
	wait.Go(func() {
		for {
			if _, err := f.Expire(f.ctx, q.Ref, 2*day); err != nil {
				t.Error(err)
			}
			if _, err := f.ExpireAll(f.ctx, 2*day); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	young, open1 := 0, true
	for open1 || f.size(q.Ref) > 0 {
		select {
		case <-done:
			open1 = false
		default:
		}
		for m := f.head(q.Ref); m != nil; m = f.ack(q.Ref, m.ID) {
			if m.Time.Unix() == day {
				continue
			}
			if got := string(m.Body); got != fmt.Sprint(young) {
				// The same head may be seen again when it was not the one removed; never an earlier one.
				t.Fatalf("message %s, want %d", got, young)
			}
			young++
		}
	}
	wait.Wait()
	if young != messages {
		t.Fatalf("%d of %d messages arrived", young, messages)
	}
}

// testManyQueues sends through many queues at once, one at a time in each.
func testManyQueues(t *testing.T, open Open) {
	const queues, each = 64, 20
	f := newFixture(t, open, 4)
	var wait sync.WaitGroup
	for range queues {
		q := f.create()
		wait.Go(func() {
			for i := range each {
				m := NewMessage(fmt.Append(nil, i))
				if r := f.append1(q.Ref, m); r.Err != nil || !r.WasEmpty {
					t.Errorf("was empty %t, %v", r.WasEmpty, r.Err)
					return
				}
				if head := f.head(q.Ref); head == nil || head.ID != m.ID {
					t.Error("another head")
					return
				}
				if f.ack(q.Ref, m.ID) != nil {
					t.Error("an entry is left")
					return
				}
			}
		})
	}
	wait.Wait()
	if f.Rows != nil && f.Rows(t) != 0 {
		t.Fatal("acknowledged messages are still stored")
	}
}
