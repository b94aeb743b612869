package storetest

import (
	"errors"
	"testing"

	"sotto/services/smp/internal/queue"
)

var quotaCases = []testCase{
	{"quota of two", testQuotaTwo},
	{"quotas", testQuotas},
	{"acknowledging makes room until the marker is there", testQuotaRoom},
	{"refused messages leave one marker", testQuotaMarker},
	{"queues do not share a quota", testQuotaApart},
}

// refuse appends a message that must be refused, and returns it.
func (f *fixture) refuse(q queue.Ref) *queue.Message {
	f.t.Helper()
	m := NewMessage([]byte("refused"))
	m.Notify = true
	if r := f.append1(q, m); !errors.Is(r.Err, queue.ErrQuota) {
		f.t.Fatalf("append to a full queue: %v", r.Err)
	}
	return m
}

// The sequence of checklist item 31: two messages, the marker, and nothing until the marker is acknowledged.
//
// Spec: smp.md 8.4
func testQuotaTwo(t *testing.T, open Open) {
	f := newFixture(t, open, 2)
	q := f.create()
	for range 2 { // the second round finds the queue as the first did
		one, two := f.put(q.Ref, "one"), f.put(q.Ref, "two")
		refused := f.refuse(q.Ref)
		f.refuse(q.Ref)
		wantMessage(t, f.head(q.Ref), one)
		wantMessage(t, f.ack(q.Ref, one.ID), two)
		f.refuse(q.Ref)
		wantMessage(t, f.ack(q.Ref, two.ID), marker(refused))
		f.refuse(q.Ref)
		if f.size(q.Ref) != 1 {
			t.Fatal("the marker is not alone")
		}
		if f.ack(q.Ref, refused.ID) != nil {
			t.Fatal("the queue is not empty after the marker")
		}
		again := NewMessage([]byte("again"))
		if r := f.append1(q.Ref, again); r.Err != nil || !r.WasEmpty {
			t.Fatalf("after the marker: was empty %t, %v", r.WasEmpty, r.Err)
		}
		f.ack(q.Ref, again.ID)
	}
}

func testQuotas(t *testing.T, open Open) {
	for _, quota := range []int{1, 3, 128} {
		f := newFixture(t, open, quota)
		q := f.create()
		var want []*queue.Message
		for range quota {
			want = append(want, f.put(q.Ref, "accepted"))
		}
		want = append(want, marker(f.refuse(q.Ref)))
		f.refuse(q.Ref)
		wantMessages(t, f.drain(q.Ref), want)
		f.put(q.Ref, "accepted again")
	}
}

func testQuotaRoom(t *testing.T, open Open) {
	f := newFixture(t, open, 3)
	q := f.create()
	one, two := f.put(q.Ref, "1"), f.put(q.Ref, "2")
	f.put(q.Ref, "3")
	f.ack(q.Ref, one.ID)
	f.put(q.Ref, "4") // full, not refused anything yet: there is room for as many as were acknowledged
	f.ack(q.Ref, two.ID)
	f.put(q.Ref, "5")
	refused := f.refuse(q.Ref)
	all := f.drain(q.Ref)
	if len(all) != 4 || all[3].ID != refused.ID || !all[3].Quota {
		t.Fatalf("%d entries, the last a marker: %t", len(all), all[len(all)-1].Quota)
	}
}

func testQuotaMarker(t *testing.T, open Open) {
	f := newFixture(t, open, 1)
	q := f.create()
	f.put(q.Ref, "one")
	refused := f.refuse(q.Ref)
	for range 5 {
		f.refuse(q.Ref)
	}
	if n := f.size(q.Ref); n != 2 {
		t.Fatalf("%d entries", n)
	}
	if f.Rows != nil && f.Rows(t) != 2 {
		t.Fatal("refused messages were stored")
	}
	all := f.drain(q.Ref)
	wantMessage(t, all[1], marker(refused))
}

func testQuotaApart(t *testing.T, open Open) {
	f := newFixture(t, open, 1)
	full, other := f.create(), f.create()
	f.put(full.Ref, "one")
	f.refuse(full.Ref)
	f.put(other.Ref, "one")
}
