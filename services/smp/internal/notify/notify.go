// Package notify knows who listens to which notifier, and which notifications wait for them. It sits between the
// handlers of SEND, which add notifications, and the connections, which take them when it is time; it knows neither
// the wire nor the store.
//
// What waits is in memory, so that a SEND with a notification costs no more of the database than one without. At each
// interval the relay saves what could not be delivered, removes from the database what was, and reads it back when it
// starts. So a relay that is killed loses the notifications of one interval at most, and may send those of the last one
// twice; it never loses a message by it.
//
// Spec: smp.md 10.4
package notify

import (
	"sync"

	"sotto/services/smp/internal/queue"
)

const (
	// perNotifier bounds what waits for one notifier, in notifications of 40 bytes: as many as a queue holds messages
	// by default. Those of older messages would tell a client nothing new.
	perNotifier = 128
	// inTotal bounds what waits for all: 60 MB if each is for a notifier of its own. A relay with a notification
	// server that is away for hours, or for good, drops the oldest beyond it.
	inTotal = 1 << 18
	// leaveStep is how many subscriptions end under one hold of the lock, so that a notification server that leaves
	// with hundreds of thousands does not hold up those who send.
	leaveStep = 1024
)

// Hub holds the current subscriber of every notifier that has one, and all notifications that wait. Its methods are
// safe for concurrent use and never call out.
type Hub struct {
	mu         sync.Mutex // guards everything below, and what it refers to
	entries    map[queue.ID]*entry
	services   map[queue.ID]*service
	full       map[*mailbox]struct{} // that are not empty
	oldest     heap                  // of all that waits
	total      int                   // notifications that wait
	subscribed int                   // entries with a subscriber
	unsaved    []*waiting            // with notifications that may not be saved
	saving     []*waiting            // of these, those whose turn it is
	removed    []queue.Notification  // saved, and gone since
	most       int                   // inTotal, less in tests
}

// entry is a notifier that somebody listens to, or that something waits for. One that is subscribed costs about 110
// bytes.
type entry struct {
	id         queue.ID
	sub        *Subscriber // nil: none of its own
	prev, next *entry      // in sub's list
	waiting    *waiting    // nil: nothing
}

// Subscriber is a connection, with its subscriptions. The zero value is none; [NewSubscriber] makes one.
type Subscriber struct {
	owner   any
	first   *entry // of its subscriptions
	count   int
	mail    mailbox  // what waits for these
	service *service // that it is a connection of; nil: of none
	served  int64    // subscriptions of the service that it counts as its own
	whole   bool     // it has asked for all of them
}

// NewSubscriber returns a subscriber without subscriptions. The hub does nothing with its owner but give it back.
func NewSubscriber(owner any) *Subscriber {
	s := &Subscriber{owner: owner}
	s.mail.reader = s
	return s
}

// Owner is the connection that it was made for.
func (s *Subscriber) Owner() any { return s.owner }

// New returns an empty hub.
func New() *Hub {
	return &Hub{
		entries: make(map[queue.ID]*entry), services: make(map[queue.ID]*service), full: make(map[*mailbox]struct{}), most: inTotal,
	}
}

// entry returns that of a notifier, made if there is none. The caller gives it a reason to be, or calls tidy.
func (h *Hub) entry(id queue.ID) *entry {
	e := h.entries[id]
	if e == nil {
		e = &entry{id: id}
		h.entries[id] = e
	}
	return e
}

// tidy forgets an entry that nothing holds.
func (h *Hub) tidy(e *entry) {
	if e.sub == nil && e.waiting == nil {
		delete(h.entries, e.id)
	}
}

// Subscribe makes s the current subscriber of a notifier, and returns the one that lost it by that, if any.
//
// Spec: smp.md 9.13
func (h *Hub) Subscribe(s *Subscriber, id queue.ID) (previous *Subscriber) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entry(id)
	if e.sub == s {
		return nil
	}
	previous = h.detach(e)
	e.sub, e.next = s, s.first
	if e.next != nil {
		e.next.prev = e
	}
	s.first = e
	s.count++
	h.subscribed++
	h.route(e)
	return previous
}

// detach takes the subscription of e from whoever has it.
func (h *Hub) detach(e *entry) (previous *Subscriber) {
	previous = e.sub
	if previous == nil {
		return nil
	}
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		previous.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.sub, e.prev, e.next = nil, nil, nil
	previous.count--
	h.subscribed--
	return previous
}

// Unsubscribe takes a subscription back if s still has it.
func (h *Hub) Unsubscribe(s *Subscriber, id queue.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entries[id]; e != nil && e.sub == s {
		h.detach(e)
		h.route(e)
		h.tidy(e)
	}
}

// Leave ends all subscriptions of a connection that has ended. What waits for them goes on waiting.
func (h *Hub) Leave(s *Subscriber) {
	for more := true; more; {
		more = h.leaveSome(s)
	}
}

func (h *Hub) leaveSome(s *Subscriber) (more bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.leaveService(s)
	for range leaveStep {
		e := s.first
		if e == nil {
			return false
		}
		h.detach(e)
		h.route(e)
		h.tidy(e)
	}
	return true
}

// Remove forgets a notifier that exists no more, and was associated with a service or, zero, with none, and what waits
// for it. It returns who listened to it, nil if nobody did.
//
// Spec: smp.md 9.8
func (h *Hub) Remove(id, service queue.ID) *Subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	var lost *Subscriber
	if !service.IsZero() {
		lost = h.discount(service)
	}
	e := h.entries[id]
	if e == nil {
		return lost
	}
	if own := h.detach(e); own != nil {
		lost = own
	}
	if e.waiting != nil {
		// What is saved went with the notifier.
		h.drop(e.waiting)
	}
	h.tidy(e)
	return lost
}

// Current reports whether s is the subscriber of the notifier.
func (h *Hub) Current(s *Subscriber, id queue.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.entries[id]
	return e != nil && e.sub == s
}

// Subscribed reports whether s listens to anything. Spec: smp.md 10.5
func (h *Hub) Subscribed(s *Subscriber) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.count > 0 || (s.service != nil && s.service.current == s)
}
