package storetest

import (
	"testing"

	"sotto/services/smp/internal/queue"
)

var expiryCases = []testCase{
	{"boundary", testExpireBoundary},
	{"stops at a younger message", testExpireOrder},
	{"stops at the marker", testExpireMarker},
	{"makes room", testExpireRoom},
	{"all queues", testExpireAll},
	{"all of many queues", testExpireMany},
	{"counts", testExpireCounts},
}

const day = 86400

// expireBoth runs check on a queue expired by Expire and, in a second store, by ExpireAll.
func expireBoth(t *testing.T, open Open, quota int, check func(f *fixture, expire func(q queue.Ref, before int64))) {
	t.Helper()
	t.Run("one", func(t *testing.T) {
		f := newFixture(t, open, quota)
		check(f, func(q queue.Ref, before int64) {
			if _, err := f.Expire(f.ctx, q, before); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("all", func(t *testing.T) {
		f := newFixture(t, open, quota)
		check(f, func(_ queue.Ref, before int64) {
			if _, err := f.ExpireAll(f.ctx, before); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("after a restart", func(t *testing.T) {
		f := newFixture(t, open, quota)
		check(f, func(q queue.Ref, before int64) {
			f.reopen()
			if _, err := f.Expire(f.ctx, q, before); err != nil {
				t.Fatal(err)
			}
		})
	})
	t.Run("all after a restart", func(t *testing.T) {
		f := newFixture(t, open, quota)
		check(f, func(_ queue.Ref, before int64) {
			f.reopen()
			if _, err := f.ExpireAll(f.ctx, before); err != nil {
				t.Fatal(err)
			}
		})
	})
}

// Spec: smp.md 8.5.
func testExpireBoundary(t *testing.T, open Open) {
	expireBoth(t, open, 8, func(f *fixture, expire func(queue.Ref, int64)) {
		q := f.create()
		f.putAt(q.Ref, day-1)
		at := f.putAt(q.Ref, day)
		after := f.putAt(q.Ref, day+1)
		expire(q.Ref, day-1)
		if f.size(q.Ref) != 3 {
			f.t.Fatal("a message as old as the limit has expired")
		}
		expire(q.Ref, day)
		wantMessage(f.t, f.head(q.Ref), at)
		expire(q.Ref, day+1)
		wantMessage(f.t, f.head(q.Ref), after)
		expire(q.Ref, day+2)
		if f.head(q.Ref) != nil || f.size(q.Ref) != 0 {
			f.t.Fatal("an old message is left")
		}
		if r := f.append1(q.Ref, NewMessage(nil)); r.Err != nil || !r.WasEmpty {
			f.t.Fatalf("after everything expired: was empty %t, %v", r.WasEmpty, r.Err)
		}
	})
}

func testExpireOrder(t *testing.T, open Open) {
	expireBoth(t, open, 8, func(f *fixture, expire func(queue.Ref, int64)) {
		q := f.create()
		f.putAt(q.Ref, 1*day)
		f.putAt(q.Ref, 2*day)
		young := f.putAt(q.Ref, 9*day)
		old := f.putAt(q.Ref, 1*day)
		expire(q.Ref, 5*day)
		wantMessages(f.t, f.drain(q.Ref), []*queue.Message{young, old})
	})
}

func testExpireMarker(t *testing.T, open Open) {
	expireBoth(t, open, 2, func(f *fixture, expire func(queue.Ref, int64)) {
		q := f.create()
		f.putAt(q.Ref, 1*day)
		f.putAt(q.Ref, 1*day)
		refused := f.refuse(q.Ref)
		expire(q.Ref, 1<<40)
		wantMessage(f.t, f.head(q.Ref), marker(refused))
		if f.size(q.Ref) != 1 {
			f.t.Fatal("the marker is not alone")
		}
		f.refuse(q.Ref) // the queue is not empty: only acknowledging the marker opens it again
		expire(q.Ref, 1<<40)
		f.ack(q.Ref, refused.ID)
		f.put(q.Ref, "accepted")
	})
}

func testExpireRoom(t *testing.T, open Open) {
	expireBoth(t, open, 2, func(f *fixture, expire func(queue.Ref, int64)) {
		q := f.create()
		f.putAt(q.Ref, 1*day)
		kept := f.putAt(q.Ref, 9*day)
		expire(q.Ref, 5*day)
		added := f.put(q.Ref, "in the place of the expired one")
		refused := f.refuse(q.Ref)
		wantMessages(f.t, f.drain(q.Ref), []*queue.Message{kept, added, marker(refused)})
	})
}

func testExpireAll(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	old, mixed, young, empty := f.create(), f.create(), f.create(), f.create()
	f.putAt(old.Ref, 1*day)
	f.putAt(old.Ref, 2*day)
	f.putAt(mixed.Ref, 3*day)
	kept := f.putAt(mixed.Ref, 7*day)
	f.putAt(young.Ref, 8*day)
	for i, want := range []int64{3, 0} {
		if n, err := f.ExpireAll(f.ctx, 5*day); err != nil || n != want {
			t.Fatalf("round %d removed %d, want %d (%v)", i, n, want, err)
		}
	}
	for q, want := range map[*queue.Queue]int{old: 0, mixed: 1, young: 1, empty: 0} {
		if n := f.size(q.Ref); n != want {
			t.Fatalf("%d entries, want %d", n, want)
		}
	}
	wantMessage(t, f.head(mixed.Ref), kept)
	if f.Rows != nil && f.Rows(t) != 2 {
		t.Fatal("expired messages are still stored")
	}
}

func testExpireMany(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	const queues = 300
	in := make([]queue.NewMessage, 0, 2*queues)
	for range queues {
		q := f.create()
		for _, at := range []int64{1 * day, 9 * day} {
			m := NewMessage([]byte("timed"))
			m.Time = m.Time.AddDate(-100, 0, int(at/day))
			in = append(in, queue.NewMessage{Queue: q.Ref, Message: m})
		}
	}
	f.Append(f.ctx, in, make([]queue.Appended, len(in)))
	before := in[0].Message.Time.Unix() + day
	if n, err := f.ExpireAll(f.ctx, before); err != nil || n != queues {
		t.Fatalf("removed %d, want %d (%v)", n, queues, err)
	}
	for i := 1; i < len(in); i += 2 {
		wantMessage(t, f.head(in[i].Queue), in[i].Message)
	}
}

// Spec: smp.md 8.5.
func testExpireCounts(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	q := f.create()
	for range 3 {
		f.putAt(q.Ref, day)
	}
	f.putAt(q.Ref, 3*day)
	for _, want := range []int64{3, 0} {
		if n, err := f.Expire(f.ctx, q.Ref, 2*day); n != want || err != nil {
			t.Fatalf("%d messages are said to have expired, %v; want %d", n, err, want)
		}
	}
}
