package hub_test

import (
	"testing"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
)

// listener is a connection that notes what the hub wants of it.
type listener struct {
	full   bool
	pushed []*queue.Message
	ready  []*hub.Subscription
}

func (l *listener) Push(_ *hub.Subscription, m *queue.Message) bool {
	if !l.full {
		l.pushed = append(l.pushed, m)
	}
	return !l.full
}

func (l *listener) Ready(s *hub.Subscription) { l.ready = append(l.ready, s) }

// wants fails unless the listener was pushed, and asked to pull, so many times.
func (l *listener) wants(t *testing.T, pushed, ready int) {
	t.Helper()
	if len(l.pushed) != pushed || len(l.ready) != ready {
		t.Fatalf("pushed %d messages and asked to pull %d times, want %d and %d", len(l.pushed), len(l.ready), pushed, ready)
	}
}

func newQueue(ref queue.Ref) *queue.Queue { return &queue.Queue{Ref: ref} }

func message(n byte) *queue.Message { return &queue.Message{ID: queue.MessageID{n}} }

// subscribed returns a hub where l listens to queue 1, which is empty.
func subscribed(l *listener) (*hub.Hub, *hub.Subscription) {
	h := hub.New()
	s, _ := h.Subscribe(newQueue(1), l)
	h.Settle(s)
	return h, s
}

// stored is what a sender does for a message that it finds the queue empty for.
func stored(h *hub.Hub, m *queue.Message) { h.Stored(1, m, h.Mark(1)) }

func TestSubscribe(t *testing.T) {
	var alice, bob listener
	h := hub.New()
	a, previous := h.Subscribe(newQueue(1), &alice)
	if previous != nil || a.Owner() != hub.Listener(&alice) {
		t.Fatal("the first subscription took one over, or is not alice's")
	}
	again, previous := h.Subscribe(newQueue(1), &alice)
	if again != a || previous != nil {
		t.Fatal("subscribing again made another subscription, or ended one")
	}
	b, previous := h.Subscribe(newQueue(1), &bob)
	if previous != a || b == a {
		t.Fatal("bob's subscription did not end alice's")
	}
	if h.Current(a) || !h.Current(b) {
		t.Error("alice's subscription is current, or bob's is not")
	}
	h.Subscribe(newQueue(2), &alice)
	if h.Len() != 2 {
		t.Errorf("%d subscriptions, want 2", h.Len())
	}
}

func TestPush(t *testing.T) {
	var l listener
	h, s := subscribed(&l)
	stored(h, message(1))
	l.wants(t, 1, 0)
	if id, ok := h.Delivered(s); !ok || id != message(1).ID {
		t.Error("the pushed message is not marked as delivered")
	}
	stored(h, message(2)) // the first expired, or was read by another connection
	l.wants(t, 1, 0)
	if !h.Acknowledge(s, message(1).ID, false) {
		t.Fatal("not acknowledged")
	}
	h.Settle(s)
	l.wants(t, 1, 0)
	stored(h, message(3))
	l.wants(t, 2, 0)
}

func TestPushToNobody(t *testing.T) {
	h := hub.New()
	stored(h, message(1)) // there is nothing to see, only not to crash
	var l listener
	h, s := subscribed(&l)
	h.Unsubscribe(s)
	stored(h, message(1))
	l.wants(t, 0, 0)
}

func TestPushWithoutRoom(t *testing.T) {
	l := listener{full: true}
	h, s := subscribed(&l)
	stored(h, message(1))
	stored(h, message(2))
	l.wants(t, 0, 1) // asked once until it begins to pull
	if _, ok := h.Delivered(s); ok {
		t.Error("marked as delivered without room for it")
	}
	mark := h.MarkOf(s)
	stored(h, message(3))
	l.wants(t, 0, 2) // stored after the pull began, which may have missed it
	if !h.Pull(s, message(1), mark) {
		t.Error("not pulled")
	}
	if h.Pull(s, message(1), h.MarkOf(s)) {
		t.Error("pulled twice")
	}
}

// TestBusy: nothing is pushed between a command and its answer, and nothing is forgotten.
func TestBusy(t *testing.T) {
	var l listener
	h := hub.New()
	s, _ := h.Subscribe(newQueue(1), &l)
	stored(h, message(1))
	l.wants(t, 0, 0)
	h.Settle(s)
	l.wants(t, 0, 1)
	h.Settle(s)
	l.wants(t, 0, 1)
	mark := h.MarkOf(s)
	if !h.Pull(s, message(1), mark) {
		t.Fatal("not pulled")
	}
	h.Acknowledge(s, message(1).ID, false)
	stored(h, message(2))
	if h.Pull(s, message(1), mark) {
		t.Error("a message was pulled that was acknowledged")
	}
	h.Settle(s)
	l.wants(t, 0, 2)
	// The answer itself has the message: nothing is left to do.
	h.Subscribe(newQueue(1), &l)
	stored(h, message(2))
	if !h.Deliver(s, message(2)) {
		t.Error("not delivered")
	}
	h.Settle(s)
	l.wants(t, 0, 2)
}

// TestOvertaken: what was acknowledged before the sender tells of it is not pushed again.
func TestOvertaken(t *testing.T) {
	var l listener
	h, s := subscribed(&l)
	mark := h.Mark(1)
	// The message is stored here; before the sender says so, the recipient subscribes again, gets and acknowledges it.
	h.Subscribe(newQueue(1), &l)
	h.Deliver(s, message(1))
	h.Settle(s)
	h.Acknowledge(s, message(1).ID, false)
	h.Settle(s)
	h.Stored(1, message(1), mark)
	l.wants(t, 0, 1)

	// The same for a subscription that was not there when the message was stored.
	var other listener
	mark = h.Mark(1)
	b, _ := h.Subscribe(newQueue(1), &other)
	h.Settle(b)
	h.Stored(1, message(2), mark)
	other.wants(t, 0, 1)
}

// TestPullOvertaken: a head that was read before an acknowledgement is read again.
func TestPullOvertaken(t *testing.T) {
	var l listener
	h, s := subscribed(&l)
	mark := h.MarkOf(s)
	stored(h, message(1))
	h.Acknowledge(s, message(1).ID, false)
	h.Settle(s)
	if h.Pull(s, message(1), mark) {
		t.Error("an acknowledged message was pulled")
	}
	l.wants(t, 1, 1)
	if h.Pull(s, nil, h.MarkOf(s)) {
		t.Error("nothing was pulled as if it was something")
	}
}

func TestAcknowledge(t *testing.T) {
	var l listener
	h, s := subscribed(&l)
	one, two := message(1), message(2)
	if h.Acknowledge(s, one.ID, false) || h.Acknowledge(s, one.ID, true) {
		t.Error("acknowledged without delivery")
	}
	stored(h, one)
	if h.Acknowledge(s, two.ID, false) {
		t.Error("acknowledged another message")
	}
	if !h.Acknowledge(s, one.ID, false) || h.Acknowledge(s, one.ID, false) {
		t.Error("not acknowledged exactly once")
	}
	h.Deliver(s, two)
	h.Settle(s)
	if !h.Acknowledge(s, queue.MessageID{}, true) {
		t.Error("any message was not acknowledged")
	}
}

// TestLost: a lost subscription takes and gives nothing, and does not stand in the way of the next.
func TestLost(t *testing.T) {
	for _, how := range []string{"takeover", "unsubscribe", "remove"} {
		t.Run(how, func(t *testing.T) {
			var alice, bob listener
			h, s := subscribed(&alice)
			stored(h, message(1))
			switch how {
			case "takeover":
				h.Subscribe(newQueue(1), &bob)
			case "unsubscribe":
				h.Unsubscribe(s)
			case "remove":
				if h.Remove(1) != s || h.Remove(1) != nil {
					t.Error("not removed exactly once")
				}
			}
			if _, ok := h.Delivered(s); ok || h.Current(s) {
				t.Error("something is still delivered")
			}
			if h.Acknowledge(s, message(1).ID, true) || h.Deliver(s, message(1)) || h.Pull(s, message(1), h.MarkOf(s)) {
				t.Error("still in use")
			}
			h.Wake(s)
			h.Settle(s)
			alice.wants(t, 1, 0)
			left := h.Len()
			h.Unsubscribe(s)
			if h.Len() != left {
				t.Error("ended another subscription")
			}
		})
	}
}
