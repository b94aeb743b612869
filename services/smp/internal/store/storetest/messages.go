package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/queue"
)

var messageCases = []testCase{
	{"first in first out", testOrder},
	{"bodies of many sizes", testBodies},
	{"flags and times", testFlags},
	{"batch append", testBatchAppend},
	{"acknowledge", testAcknowledge},
	{"batch acknowledge", testBatchAcknowledge},
	{"heads of many queues", testHeads},
	{"non-empty and size", testNonEmpty},
	{"was empty", testWasEmpty},
}

func testOrder(t *testing.T, open Open) {
	f := newFixture(t, open, 40)
	q := f.create()
	var want []*queue.Message
	for i := range 40 {
		want = append(want, f.put(q.Ref, fmt.Sprint("message ", i)))
	}
	if got := f.head(q.Ref); got.ID != want[0].ID {
		t.Fatal("the head is not the first message")
	}
	wantMessages(t, f.drain(q.Ref), want)
	if f.head(q.Ref) != nil {
		t.Fatal("a drained queue has a head")
	}
}

func testBodies(t *testing.T, open Open) {
	f := newFixture(t, open, 64)
	q := f.create()
	var want []*queue.Message
	for _, size := range []int{0, 1, 100, 1996, 2000, 4096, 7999, 8000, 8001, 8050, 8100, 8192, 16000, 16001, 16048, 16064, 16088, 16384, 40000} {
		body := bytes.Repeat([]byte{byte(size), 0, 0xff, byte(size >> 8)}, size/4+1)[:size]
		want = append(want, f.put(q.Ref, string(body)))
	}
	if f.Reopen != nil {
		f.reopen()
	}
	wantMessages(t, f.drain(q.Ref), want)
}

func testFlags(t *testing.T, open Open) {
	f := newFixture(t, open, 64)
	q := f.create()
	var want []*queue.Message
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(1764000000, 671451651), time.Unix(1764000000, 1000), time.Unix(1<<33, 999999999)} {
		for _, notify := range []bool{false, true} {
			m := &queue.Message{ID: randomMessageID(), Time: at, Notify: notify, Body: []byte("b")}
			if r := f.append1(q.Ref, m); r.Err != nil {
				t.Fatal(r.Err)
			}
			want = append(want, m)
		}
	}
	if f.Reopen != nil {
		f.reopen()
	}
	wantMessages(t, f.drain(q.Ref), want)
}

func testBatchAppend(t *testing.T, open Open) {
	f := newFixture(t, open, 2)
	a, b := f.create(), f.create()
	in := []queue.NewMessage{
		{Queue: a.Ref, Message: NewMessage([]byte("a1"))},
		{Queue: b.Ref, Message: NewMessage([]byte("b1"))},
		{Queue: b.Ref + 1000, Message: NewMessage([]byte("nowhere"))},
		{Queue: a.Ref, Message: NewMessage([]byte("a2"))},
		{Queue: a.Ref, Message: NewMessage([]byte("a3, refused"))},
		{Queue: b.Ref, Message: NewMessage([]byte("b2"))},
		{Queue: a.Ref, Message: NewMessage([]byte("a4, refused"))},
	}
	want := []queue.Appended{{WasEmpty: true}, {WasEmpty: true}, {Err: queue.ErrNotFound}, {}, {Err: queue.ErrQuota}, {}, {Err: queue.ErrQuota}}
	results := make([]queue.Appended, len(in))
	f.Append(f.ctx, in, results)
	for i, r := range results {
		if r.WasEmpty != want[i].WasEmpty || !errors.Is(r.Err, want[i].Err) {
			t.Errorf("element %d: was empty %t, error %v", i, r.WasEmpty, r.Err)
		}
	}
	wantMessages(t, f.drain(a.Ref), []*queue.Message{in[0].Message, in[3].Message, marker(in[4].Message)})
	wantMessages(t, f.drain(b.Ref), []*queue.Message{in[1].Message, in[5].Message})
	f.Append(f.ctx, nil, nil)
}

// Spec: smp.md 9.5.
func testAcknowledge(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	q := f.create()
	if f.ack(q.Ref, randomMessageID()) != nil {
		t.Fatal("an empty queue has a head")
	}
	one, two := f.put(q.Ref, "one"), f.put(q.Ref, "two")
	wantMessage(t, f.ack(q.Ref, two.ID), one) // not the head: nothing is removed
	wantMessage(t, f.ack(q.Ref, randomMessageID()), one)
	wantMessage(t, f.ack(q.Ref, queue.MessageID{}), one)
	wantMessage(t, f.ack(q.Ref, one.ID), two)
	wantMessage(t, f.ack(q.Ref, one.ID), two) // acknowledged elsewhere already
	for range 2 {
		if f.ack(q.Ref, two.ID) != nil {
			t.Fatal("the queue is empty now")
		}
	}
	if f.Rows != nil && f.Rows(t) != 0 {
		t.Fatal("an acknowledged message is still stored")
	}
	three := f.put(q.Ref, "three")
	wantMessage(t, f.head(q.Ref), three)
}

func testBatchAcknowledge(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	a, b, empty := f.create(), f.create(), f.create()
	a1, a2, a3 := f.put(a.Ref, "a1"), f.put(a.Ref, "a2"), f.put(a.Ref, "a3")
	b1 := f.put(b.Ref, "b1")
	results := make([]queue.Head, 7)
	f.Acknowledge(f.ctx, []queue.Acknowledgement{
		{Queue: a.Ref, ID: a1.ID},
		{Queue: b.Ref, ID: b1.ID},
		{Queue: a.Ref, ID: a1.ID}, // twice in one batch removes one
		{Queue: empty.Ref, ID: a1.ID},
		{Queue: empty.Ref + 1000, ID: a1.ID},
		{Queue: a.Ref, ID: a2.ID},
		{Queue: b.Ref, ID: a3.ID},
	}, results)
	for i, want := range []*queue.Message{a2, nil, a2, nil, nil, a3, nil} {
		if i == 4 {
			if !errors.Is(results[i].Err, queue.ErrNotFound) {
				t.Fatalf("no such queue: %v", results[i].Err)
			}
			continue
		}
		if results[i].Err != nil {
			t.Fatal(results[i].Err)
		}
		// An earlier element may see what a later one left.
		if i < 3 && i != 1 && results[i].Message != nil && results[i].Message.ID == a3.ID {
			continue
		}
		wantMessage(t, results[i].Message, want)
	}
	wantMessages(t, f.drain(a.Ref), []*queue.Message{a3})
}

func testHeads(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	const queues = 150
	qs := make([]queue.Ref, queues)
	want := make([]*queue.Message, queues)
	for i := range qs {
		qs[i] = f.create().Ref
		if i%3 > 0 {
			want[i] = f.put(qs[i], fmt.Sprint("first of ", i))
		}
		if i%3 > 1 {
			f.put(qs[i], "second")
		}
	}
	check := func() {
		t.Helper()
		results := make([]queue.Head, queues+2)
		f.Heads(f.ctx, append(qs[:queues:queues], qs[1], qs[queues-1]+1000), results)
		for i := range queues {
			if results[i].Err != nil {
				t.Fatal(results[i].Err)
			}
			wantMessage(t, results[i].Message, want[i])
		}
		wantMessage(t, results[queues].Message, want[1])
		if !errors.Is(results[queues+1].Err, queue.ErrNotFound) {
			t.Fatalf("no such queue: %v", results[queues+1].Err)
		}
	}
	check()
	if f.Reopen != nil {
		f.reopen()
		check()
		check()
	}
}

func testNonEmpty(t *testing.T, open Open) {
	f := newFixture(t, open, 2)
	empty, some, full := f.create(), f.create(), f.create()
	one := f.put(some.Ref, "one")
	first := f.put(full.Ref, "first")
	f.put(full.Ref, "second")
	f.append1(full.Ref, NewMessage([]byte("refused")))
	check := func() {
		t.Helper()
		has, err := f.NonEmpty(f.ctx, []queue.Ref{some.Ref, empty.Ref, full.Ref, full.Ref + 1000, some.Ref})
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []bool{true, false, true, false, true} {
			if has[i] != want {
				t.Fatalf("element %d: %t", i, has[i])
			}
		}
		for _, c := range []struct {
			q    *queue.Queue
			n    int
			head *queue.Message
		}{{empty, 0, nil}, {some, 1, one}, {full, 3, first}} {
			n, head, err := f.Size(f.ctx, c.q.Ref)
			if err != nil || n != c.n {
				t.Fatalf("size %d, want %d (%v)", n, c.n, err)
			}
			if c.head != nil {
				wantMessage(t, head, &queue.Message{ID: c.head.ID, Time: c.head.Time})
			} else if head != nil {
				t.Fatal("an empty queue has a head")
			}
		}
	}
	check()
	if f.Reopen != nil {
		f.reopen()
		check()
	}
	f.ack(some.Ref, one.ID)
	if has, err := f.NonEmpty(f.ctx, []queue.Ref{some.Ref}); err != nil || has[0] {
		t.Fatalf("after the acknowledgement: %t, %v", has, err)
	}
}

// Spec: smp.md 10.2, only a message that finds the queue empty is pushed.
func testWasEmpty(t *testing.T, open Open) {
	f := newFixture(t, open, 8)
	q := f.create()
	want := func(m *queue.Message, wasEmpty bool) {
		t.Helper()
		if r := f.append1(q.Ref, m); r.Err != nil || r.WasEmpty != wasEmpty {
			t.Fatalf("was empty %t, want %t (%v)", r.WasEmpty, wasEmpty, r.Err)
		}
	}
	one, two, three := NewMessage(nil), NewMessage(nil), NewMessage(nil)
	want(one, true)
	want(two, false)
	f.ack(q.Ref, one.ID)
	want(three, false)
	f.ack(q.Ref, two.ID)
	f.ack(q.Ref, three.ID)
	want(NewMessage(nil), true)
	if f.Reopen != nil {
		f.reopen()
		want(NewMessage(nil), false)
		f.drain(q.Ref)
		f.reopen()
		want(NewMessage(nil), true)
	}
}
