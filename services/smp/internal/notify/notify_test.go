package notify

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"sotto/services/smp/internal/queue"
)

// id makes an id of a number.
func id(n int) (id queue.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func message(n int) (id queue.MessageID) {
	binary.BigEndian.PutUint64(id[:], uint64(n))
	return id
}

func notifier(n int) *queue.Notifier {
	return &queue.Notifier{ID: id(n), DHSecret: queue.Secret{byte(n)}}
}

// taken takes everything that waits for s, and returns the times.
func taken(h *Hub, s *Subscriber) (times []int64) {
	for {
		some := h.Take(s, 3)
		for _, n := range some {
			times = append(times, n.Time)
		}
		if len(some) == 0 {
			return times
		}
	}
}

func wantTimes(t *testing.T, got []int64, want ...int64) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got notifications of %v, want %v", got, want)
	}
}

func TestTake(t *testing.T) {
	h, s, other := New(), NewSubscriber(nil), NewSubscriber(nil)
	h.Add(notifier(1), message(1), 10)
	if len(h.Ready()) != 0 {
		t.Fatal("somebody listens")
	}
	h.Subscribe(s, id(1))
	h.Subscribe(other, id(2))
	for i := range 4 {
		h.Add(notifier(1), message(2+i), int64(20+i))
	}
	h.Add(notifier(1), message(9), 5) // the clock went back
	if ready := h.Ready(); len(ready) != 1 || ready[0] != s {
		t.Fatalf("%d are ready", len(ready))
	}
	wantTimes(t, taken(h, s), 10, 20, 21, 22, 23, 24)
	wantTimes(t, taken(h, other))
	// What waits follows the subscription.
	h.Add(notifier(1), message(1), 30)
	if h.Subscribe(other, id(1)) != s {
		t.Fatal("nobody has lost it")
	}
	wantTimes(t, taken(h, s))
	h.Leave(other)
	h.Subscribe(s, id(1))
	wantTimes(t, taken(h, s), 30)
	h.Add(notifier(1), message(1), 40)
	if h.Remove(id(1), queue.ID{}) != s || h.Subscribed(s) {
		t.Fatal("the notifier is still there")
	}
	wantTimes(t, taken(h, s))
	check(t, h)
}

func TestBounds(t *testing.T) {
	h, s := New(), NewSubscriber(nil)
	dropped := 0
	for i := range perNotifier + 20 {
		dropped += h.Add(notifier(1), message(i), int64(i+1))
	}
	if dropped != 20 || h.Counts().Waiting != perNotifier {
		t.Fatalf("%d dropped, %d wait", dropped, h.Counts().Waiting)
	}
	h.most, dropped = 10, 0
	for i := range 10 {
		dropped += h.Add(notifier(2+i), message(i), int64(1000-i))
	}
	if dropped != perNotifier || h.Counts().Waiting != 10 {
		t.Fatalf("%d dropped, %d wait", dropped, h.Counts().Waiting)
	}
	check(t, h)
	h.Subscribe(s, id(1))
	wantTimes(t, taken(h, s)) // they were the oldest
}

func TestExpire(t *testing.T) {
	h, s := New(), NewSubscriber(nil)
	for i := range 3000 {
		h.Add(notifier(i%100), message(i), int64(i))
	}
	if n := h.Expire(2950); n != 2950 {
		t.Fatalf("%d expired", n)
	}
	h.Subscribe(s, id(60))
	wantTimes(t, taken(h, s), 2960)
	check(t, h)
	if len(h.Removed(10)) != 0 {
		t.Fatal("nothing was saved")
	}
}

func TestSaving(t *testing.T) {
	h, s := New(), NewSubscriber(nil)
	h.Subscribe(s, id(1))
	h.Add(notifier(1), message(1), 1) // for somebody
	h.Add(notifier(2), message(2), 2) // for nobody
	h.Add(notifier(3), message(3), 3) // for a notifier that is gone
	h.Round(false)
	first := h.Unsaved(10)
	if len(first) != 2 {
		t.Fatalf("%d are to be saved", len(first))
	}
	h.Saved(first, []queue.Saved{{}, {Gone: true}})
	if h.Counts().Waiting != 2 {
		t.Fatal("what is gone still waits")
	}
	h.Round(false)
	second := h.Unsaved(10) // it was not delivered at once
	if len(second) != 1 || second[0].MessageID != message(1) {
		t.Fatalf("%d are to be saved", len(second))
	}
	h.NotSaved(second)
	h.Round(true)
	if again := h.Unsaved(10); len(again) != 1 {
		t.Fatalf("%d are to be saved again", len(again))
	}
	h.Round(true)
	if none := h.Unsaved(10); len(none) != 0 {
		t.Fatal("all is saved")
	}
	wantTimes(t, taken(h, s), 1)
	removed := h.Removed(10)
	if len(removed) != 1 || removed[0].MessageID != message(1) {
		t.Fatalf("%d are to be removed", len(removed))
	}
	h.NotRemoved(removed)
	if len(h.Removed(10)) != 1 || len(h.Removed(10)) != 0 {
		t.Fatal("not to be removed again")
	}
	check(t, h)
}

func TestRestore(t *testing.T) {
	h, s := New(), NewSubscriber(nil)
	h.Add(notifier(1), message(9), 9)
	saved := []queue.Notification{
		{Notifier: *notifier(1), MessageID: message(3), Time: 3},
		{Notifier: *notifier(1), MessageID: message(1), Time: 1},
		{Notifier: *notifier(2), MessageID: message(2), Time: 2},
	}
	if !h.Restore(saved) {
		t.Fatal("no room")
	}
	check(t, h)
	h.Subscribe(s, id(1))
	h.Subscribe(s, id(2))
	wantTimes(t, taken(h, s), 1, 3, 9, 2)
	if n := len(h.Removed(10)); n != 3 {
		t.Fatalf("%d are to be removed", n)
	}
	h.most = 2
	if h.Restore(saved) || h.Counts().Waiting != 2 {
		t.Fatal("more than there is room for")
	}
}

func TestService(t *testing.T) {
	h, a, b, other := New(), NewSubscriber(nil), NewSubscriber(nil), NewSubscriber(nil)
	h.Attach(a, id(100))
	h.Attach(b, id(100))
	h.Subscribe(other, id(1))
	h.Add(notifier(1), message(1), 1)
	if previous, ended := h.Serve(a, id(1), queue.ID{}); previous != other || ended.Subscriber != nil {
		t.Fatal("another has lost it")
	}
	wantTimes(t, taken(h, other))
	wantTimes(t, taken(h, a), 1)
	h.Serve(a, id(2), queue.ID{})
	if count, ended := h.ServeAll(b, 2); count != 2 || ended.Subscriber != a || ended.Count != 2 {
		t.Fatalf("%d, and %d lost", count, ended.Count)
	}
	served := *notifier(2)
	served.Service = id(100)
	h.Add(&served, message(2), 2)
	wantTimes(t, taken(h, a))
	wantTimes(t, taken(h, b), 2)
	h.Leave(b)
	h.Add(&served, message(3), 3)
	if len(h.Ready()) != 0 || h.Serving(a) {
		t.Fatal("nobody listens")
	}
	h.ServeAll(a, 2)
	wantTimes(t, taken(h, a), 3)
	if h.Remove(id(2), id(100)) != a {
		t.Fatal("the service was not told")
	}
	if count, _ := h.ServeAll(a, 9); count != 1 {
		t.Fatalf("it counts %d", count)
	}
	h.Leave(a)
	h.Leave(other)
	check(t, h)
	if n := len(h.services) + len(h.entries); n != 0 {
		t.Fatalf("%d are remembered", n)
	}
}

// check finds what does not fit together.
func check(t *testing.T, h *Hub) {
	t.Helper()
	total, subscribed := 0, 0
	for name, e := range h.entries {
		if e.id != name || (e.sub == nil && e.waiting == nil) {
			t.Fatal("an entry that nothing holds")
		}
		if e.sub != nil {
			subscribed++
		}
		w := e.waiting
		if w == nil {
			continue
		}
		total += len(w.items)
		if len(w.items) == 0 || h.oldest[w.place] != w || !slices.IsSortedFunc(w.items, func(a, b item) int { return int(a.time - b.time) }) {
			t.Fatal("what waits is out of place or order")
		}
		want := (*mailbox)(nil)
		if e.sub != nil {
			want = &e.sub.mail
		} else if !w.service.IsZero() {
			want = &h.services[w.service].mail
		}
		if w.box != want {
			t.Fatal("what waits is in the wrong mailbox")
		}
		if _, full := h.full[w.box]; w.box != nil && !full {
			t.Fatal("a mailbox that is not empty is taken for empty")
		}
	}
	if total != h.total || subscribed != h.subscribed || len(h.oldest) > len(h.entries) {
		t.Fatalf("%d of %d wait, %d of %d subscribed", total, h.total, subscribed, h.subscribed)
	}
	for b := range h.full {
		if b.first == nil {
			t.Fatal("an empty mailbox is taken for full")
		}
	}
}

// TestAnything does things in any order, and looks whether all fits together.
func TestAnything(t *testing.T) {
	h := New()
	h.most = 200
	subs := make([]*Subscriber, 6)
	for round := range 200 {
		for i := range subs {
			if subs[i] != nil {
				h.Leave(subs[i])
			}
			subs[i] = NewSubscriber(i)
			if i >= 3 {
				h.Attach(subs[i], id(100+i%2))
			}
		}
		for i := range 200 {
			anything(h, subs, round*200+i)
		}
		check(t, h)
	}
	for _, s := range subs {
		h.Leave(s)
	}
	h.Expire(1 << 60)
	check(t, h)
	if n := len(h.services) + len(h.entries) + len(h.full); n != 0 {
		t.Fatalf("%d are remembered", n)
	}
}

func anything(h *Hub, subs []*Subscriber, n int) {
	one, ordinary, service := rand.IntN(20), subs[rand.IntN(3)], subs[3+rand.IntN(3)]
	switch rand.IntN(12) {
	case 0, 1, 2, 3:
		to := notifier(one)
		if rand.IntN(3) == 0 {
			to.Service = id(100 + rand.IntN(2))
		}
		h.Add(to, message(n), int64(rand.IntN(1000)))
	case 4:
		h.Subscribe(ordinary, id(one))
	case 5:
		h.Unsubscribe(ordinary, id(one))
	case 6:
		h.Remove(id(one), []queue.ID{{}, id(100)}[rand.IntN(2)])
	case 7:
		h.Take([]*Subscriber{ordinary, service}[rand.IntN(2)], rand.IntN(5))
	case 8:
		h.Serve(service, id(one), []queue.ID{{}, id(100), id(101)}[rand.IntN(3)])
	case 9:
		h.ServeAll(service, int64(rand.IntN(9)))
	case 10:
		h.Round(rand.IntN(2) == 0)
		list := h.Unsaved(rand.IntN(9))
		saved := make([]queue.Saved, len(list))
		for i := range saved {
			saved[i] = queue.Saved{Gone: rand.IntN(5) == 0, Service: []queue.ID{{}, id(100)}[rand.IntN(2)]}
		}
		if rand.IntN(3) == 0 {
			h.NotSaved(list)
		} else {
			h.Saved(list, saved)
		}
		h.Removed(5)
	default:
		h.Dissociate(id(one), id(100))
		h.Expire(int64(rand.IntN(300)))
	}
}

// TestMemory: a notification server subscribes to hundreds of thousands of notifiers on one connection.
func TestMemory(t *testing.T) {
	const many, most = 100_000, 140 // bytes; it is about 110
	h, s := New(), NewSubscriber(nil)
	ids := make([]queue.ID, many)
	for i := range ids {
		ids[i] = id(i)
	}
	before := heapSize()
	for _, one := range ids {
		h.Subscribe(s, one)
	}
	each := float64(heapSize()-before) / many
	t.Logf("%.0f bytes for each subscription", each)
	if each > most {
		t.Errorf("%.0f bytes for each subscription, %d at most", each, most)
	}
	h.Leave(s)
	if len(h.entries) != 0 {
		t.Fatal("some are left")
	}
}

func heapSize() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
