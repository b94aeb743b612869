// Package hub knows which connection listens to which queue, and which message each listener holds unacknowledged.
// It sits between the command handlers, which store and remove messages, and the connections, which write them: a
// sender only marks a queue here, and never waits for a recipient.
package hub

import (
	"sync"

	"sotto/services/smp/internal/queue"
)

// Listener is a connection as the hub sees it. The hub calls it with a lock held, so it must not block and must not
// call back into the hub.
type Listener interface {
	// Push takes a message for s. False means that there is no room now; the hub then calls Ready.
	Push(s *Subscription, m *queue.Message) bool
	// Ready asks the connection to look for the head of s's queue when it has room, with [Hub.Pull].
	Ready(s *Subscription)
}

// Subscription is one connection's current subscription to one queue. At most one message is in flight in it.
// Spec: smp.md 8.6
type Subscription struct {
	Queue *queue.Queue
	owner Listener

	// The fields below are guarded by the lock of the queue's shard.
	delivered    queue.MessageID
	hasDelivered bool
	busy         bool   // the owner is answering a command of this queue; pushes wait for Settle
	wake         bool   // something may have been stored while busy
	ready        bool   // the owner was asked to pull, and has not begun to
	lost         bool   // another connection subscribed, or the queue is deleted
	acks         uint64 // acknowledgements so far, to notice those that overtake a push
}

// Owner is the connection that holds the subscription.
func (s *Subscription) Owner() Listener { return s.owner }

// askReady asks the owner to pull, once until it begins to. The shard's lock is held.
func (s *Subscription) askReady() {
	if !s.ready {
		s.ready = true
		s.owner.Ready(s)
	}
}

// shards spreads the locks of unrelated queues; 64 keeps contention negligible with tens of cores.
const shards = 64

// Hub holds the current subscriber of every queue that has one.
type Hub struct {
	shard [shards]shard
}

type shard struct {
	mu      sync.Mutex
	current map[queue.Ref]*Subscription
}

// New returns an empty hub.
func New() *Hub {
	h := new(Hub)
	for i := range h.shard {
		h.shard[i].current = make(map[queue.Ref]*Subscription)
	}
	return h
}

func (h *Hub) of(ref queue.Ref) *shard { return &h.shard[uint64(ref)%shards] }

// Subscribe makes owner the current subscriber of q and leaves the subscription busy: nothing is pushed before
// [Hub.Settle], so that what the owner answers first leaves first. It returns the subscription that another
// connection lost by it, if any. Subscribing again clears the delivered mark.
//
// Spec: smp.md 9.4
func (h *Hub) Subscribe(q *queue.Queue, owner Listener) (s, previous *Subscription) {
	sh := h.of(q.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s = sh.current[q.Ref]
	if s == nil || s.owner != owner {
		if s != nil {
			s.lost, previous = true, s
		}
		s = &Subscription{Queue: q, owner: owner}
		sh.current[q.Ref] = s
	}
	s.hasDelivered, s.busy = false, true
	return s, previous
}

// Deliver marks m as delivered on a busy subscription, on behalf of its owner, which sends it. False means that the
// subscription was lost meanwhile and m must not be sent.
func (h *Hub) Deliver(s *Subscription, m *queue.Message) bool {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.lost {
		return false
	}
	s.delivered, s.hasDelivered = m.ID, true
	return true
}

// Wake notes that the queue of a busy subscription has an entry to be pulled once it settles.
func (h *Hub) Wake(s *Subscription) {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	s.wake = true
	sh.mu.Unlock()
}

// Settle ends the busy time that Subscribe or Acknowledge began, after the owner's answer is on its way.
func (h *Hub) Settle(s *Subscription) {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.busy = false
	wake := s.wake
	s.wake = false
	if wake && !s.hasDelivered && !s.lost {
		s.askReady()
	}
}

// Acknowledge takes the delivered mark off s if it is id, and leaves s busy. With anyID set, any delivered message
// matches. False means that nothing, or something else, was delivered, or the subscription is lost.
//
// Spec: smp.md 9.5
func (h *Hub) Acknowledge(s *Subscription, id queue.MessageID, anyID bool) bool {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if s.lost || !s.hasDelivered || (!anyID && s.delivered != id) {
		return false
	}
	s.hasDelivered, s.busy = false, true
	s.acks++
	return true
}

// Delivered returns the id of the message in flight.
func (h *Hub) Delivered(s *Subscription) (queue.MessageID, bool) {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return s.delivered, s.hasDelivered && !s.lost
}

// Current reports whether s has not been lost.
func (h *Hub) Current(s *Subscription) bool {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return !s.lost
}

// Mark is the state of a queue's subscription before a store operation. What was acknowledged after it must not be
// pushed again.
type Mark struct {
	s    *Subscription
	acks uint64
}

// Mark is called before messages are stored in the queue.
func (h *Hub) Mark(ref queue.Ref) Mark {
	sh := h.of(ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.current[ref]
	if s == nil {
		return Mark{}
	}
	return Mark{s, s.acks}
}

// Stored pushes m, just stored in the empty queue ref, to its subscriber if that holds no other message.
//
// Spec: smp.md 10.2
func (h *Hub) Stored(ref queue.Ref, m *queue.Message, mark Mark) {
	sh := h.of(ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.current[ref]
	switch {
	case s == nil || s.hasDelivered:
	case s.busy:
		s.wake = true
	case mark.s != s || mark.acks != s.acks:
		// Subscribed or acknowledged since m was stored, which then may be gone already: look again.
		s.askReady()
	case s.owner.Push(s, m):
		s.delivered, s.hasDelivered = m.ID, true
	default:
		s.askReady()
	}
}

// Pull is the second half of [Listener.Ready]: the owner calls MarkOf, reads the head of the queue, and asks here
// whether to send it. False means that there is nothing to send (now).
func (h *Hub) Pull(s *Subscription, head *queue.Message, mark Mark) bool {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case s.lost || s.hasDelivered:
	case s.busy:
		s.wake = true
	case mark.acks != s.acks:
		s.askReady()
	case head != nil:
		s.delivered, s.hasDelivered = head.ID, true
		return true
	}
	return false
}

// MarkOf is [Hub.Mark] for a subscription at hand, at the beginning of a pull.
func (h *Hub) MarkOf(s *Subscription) Mark {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.ready = false
	return Mark{s, s.acks}
}

// Unsubscribe ends s when its connection ends.
func (h *Hub) Unsubscribe(s *Subscription) {
	sh := h.of(s.Queue.Ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s.lost = true
	if sh.current[s.Queue.Ref] == s {
		delete(sh.current, s.Queue.Ref)
	}
}

// Subscriber returns the current subscription to a queue, nil when there is none.
func (h *Hub) Subscriber(ref queue.Ref) *Subscription {
	sh := h.of(ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.current[ref]
}

// Remove ends the subscription of a deleted queue and returns it, nil when there was none.
func (h *Hub) Remove(ref queue.Ref) *Subscription {
	sh := h.of(ref)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.current[ref]
	if s != nil {
		s.lost = true
		delete(sh.current, ref)
	}
	return s
}

// Len returns the number of subscriptions.
func (h *Hub) Len() int {
	n := 0
	for i := range h.shard {
		sh := &h.shard[i]
		sh.mu.Lock()
		n += len(sh.current)
		sh.mu.Unlock()
	}
	return n
}
