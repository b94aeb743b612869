package hub_test

import (
	"sync"
	"testing"
	"time"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
)

// shelf is one queue of a store.
type shelf struct {
	mu       sync.Mutex
	messages []*queue.Message
}

func (s *shelf) append(m *queue.Message) (wasEmpty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	return len(s.messages) == 1
}

// acknowledge removes the head if it is id, and returns the head that is left.
func (s *shelf) acknowledge(id queue.MessageID) *queue.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) > 0 && s.messages[0].ID == id {
		s.messages = s.messages[1:]
	}
	if len(s.messages) == 0 {
		return nil
	}
	return s.messages[0]
}

func (s *shelf) head() *queue.Message { return s.acknowledge(queue.MessageID{0xff}) }

// recipient is a connection with a writer, and a client that acknowledges what it gets.
type recipient struct {
	h     *hub.Hub
	shelf *shelf
	out   chan *queue.Message // what the writer sends
	ready chan *hub.Subscription
}

func newRecipient(h *hub.Hub, s *shelf) *recipient {
	return &recipient{h: h, shelf: s, out: make(chan *queue.Message, 1), ready: make(chan *hub.Subscription, 1<<16)}
}

func (r *recipient) Push(_ *hub.Subscription, m *queue.Message) bool {
	select {
	case r.out <- m:
		return true
	default:
		return false
	}
}

func (r *recipient) Ready(s *hub.Subscription) { r.ready <- s }

// subscribe is what a connection does for SUB.
func (r *recipient) subscribe(q *queue.Queue) (*hub.Subscription, *queue.Message) {
	s, _ := r.h.Subscribe(q, r)
	defer r.h.Settle(s)
	if m := r.shelf.head(); m != nil && r.h.Deliver(s, m) {
		return s, m
	}
	return s, nil
}

// acknowledge is what a connection does for ACK, and returns the next message if the answer has one.
func (r *recipient) acknowledge(s *hub.Subscription, id queue.MessageID) (next *queue.Message, ok bool) {
	if !r.h.Acknowledge(s, id, false) {
		return nil, false
	}
	defer r.h.Settle(s)
	if m := r.shelf.acknowledge(id); m != nil && r.h.Deliver(s, m) {
		return m, true
	}
	return nil, true
}

// next waits for a message as the client does, while the writer pulls.
func (r *recipient) next(t *testing.T, late <-chan time.Time) *queue.Message {
	t.Helper()
	for {
		select {
		case m := <-r.out:
			return m
		case s := <-r.ready:
			mark := r.h.MarkOf(s)
			if m := r.shelf.head(); r.h.Pull(s, m, mark) {
				return m
			}
		case <-late:
			t.Fatal("a message that is in the queue was not delivered")
			return nil
		}
	}
}

// TestNothingIsLost sends while the recipient acknowledges, subscribes again, and moves to another connection. All
// messages must arrive, in order.
func TestNothingIsLost(t *testing.T) {
	const senders, each = 4, 500
	h, s, q := hub.New(), &shelf{}, newQueue(1)
	few := make(chan struct{}, 3) // so that the queue is empty again and again
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for n := range each {
				m := &queue.Message{ID: queue.MessageID{byte(i), byte(n), byte(n >> 8), 1}}
				few <- struct{}{}
				mark := h.Mark(q.Ref)
				if s.append(m) {
					h.Stored(q.Ref, m, mark)
				}
			}
		})
	}
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	var last [senders]int
	r := newRecipient(h, s)
	sub, m := r.subscribe(q)
	for got := 0; got < senders*each; {
		if m == nil {
			m = r.next(t, late.C)
		}
		switch got % 7 {
		case 3: // subscribe again: the same message, or one more that was on its way
			sub, m = r.subscribe(q)
		case 5:
			r = newRecipient(h, s)
			sub, m = r.subscribe(q)
		}
		if m == nil {
			t.Fatal("a message that was not acknowledged is gone")
		}
		sender, n := int(m.ID[0]), int(m.ID[1])+int(m.ID[2])<<8
		if n != last[sender] {
			t.Fatalf("message %d of a sender instead of %d", n, last[sender])
		}
		last[sender]++
		got++
		var ok bool
		if m, ok = r.acknowledge(sub, m.ID); !ok {
			t.Fatal("what was delivered cannot be acknowledged")
		}
		if m != nil && len(r.out) > 0 {
			t.Fatal("two messages in flight")
		}
		<-few
	}
	wg.Wait()
	if h.Len() != 1 || s.head() != nil {
		t.Error("something is left")
	}
}
