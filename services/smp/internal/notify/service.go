package notify

import "sotto/services/smp/internal/queue"

// service is a notification service: at most one of its connections listens to all notifiers that are associated with
// it.
type service struct {
	id      queue.ID
	conns   int         // connected
	current *Subscriber // of these; nil: none listens
	mail    mailbox
}

// service returns the one with this id, made if nobody knows it yet.
func (h *Hub) service(id queue.ID) *service {
	v := h.services[id]
	if v == nil {
		v = &service{id: id}
		v.mail.service = v
		h.services[id] = v
	}
	return v
}

// tidyBox forgets the service of a mailbox when nothing waits and no connection is there.
func (h *Hub) tidyBox(b *mailbox) {
	if b != nil && b.service != nil && b.first == nil && b.service.conns == 0 {
		delete(h.services, b.service.id)
	}
}

// Attach makes s a connection of a service, which does not listen yet. It is called once, before anything else.
//
// Spec: smp.md 4.5
func (h *Hub) Attach(s *Subscriber, id queue.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.service = h.service(id)
	s.service.conns++
}

// leaveService ends what s is to its service.
func (h *Hub) leaveService(s *Subscriber) {
	v := s.service
	if v == nil {
		return
	}
	s.service = nil
	v.conns--
	if v.current == s {
		v.listen(nil)
	}
	h.tidyBox(&v.mail)
}

// listen makes s the one that listens, nil: nobody.
func (v *service) listen(s *Subscriber) { v.current, v.mail.reader = s, s }

// Lost is a subscription that a connection has lost.
type Lost struct {
	Subscriber *Subscriber // nil: nobody has lost one
	// Count is how many subscriptions of a service it had counted.
	Count int64
}

// takeOver makes s the connection that listens for its service.
func (h *Hub) takeOver(s *Subscriber) (ended Lost) {
	v := s.service
	if v.current == s {
		return ended
	}
	if old := v.current; old != nil {
		ended = Lost{old, old.served}
		old.served, old.whole = 0, false
	}
	v.listen(s)
	return ended
}

// Serve notes that a notifier is associated with the service of s, and was with another, or the same, before. From then
// on s listens for the service. Ended is the connection of the service that did before, previous the subscriber that
// has lost this notifier.
//
// Spec: smp.md 9.13
func (h *Hub) Serve(s *Subscriber, id, before queue.ID) (previous *Subscriber, ended Lost) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.service == nil {
		return nil, ended // it has left
	}
	if before != s.service.id {
		previous = h.discount(before)
	}
	ended = h.takeOver(s)
	if before != s.service.id || s.served == 0 {
		s.served++
	}
	e := h.entries[id]
	if e == nil {
		return previous, ended
	}
	if own := h.detach(e); own != nil {
		previous = own
	}
	if e.waiting != nil {
		e.waiting.service = s.service.id
		h.route(e)
	}
	h.tidy(e)
	return previous, ended
}

// ServeAll makes s listen for its service, which has this many notifiers associated, and returns how many s counts. A
// connection that has asked for all before goes on counting.
//
// Spec: smp.md 9.13
func (h *Hub) ServeAll(s *Subscriber, associated int64) (count int64, ended Lost) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.service == nil {
		return 0, ended
	}
	ended = h.takeOver(s)
	if !s.whole {
		s.served, s.whole = associated, true
	}
	return s.served, ended
}

// Dissociate notes that a notifier, associated with a service before, is not any more, and returns the connection that
// has lost it, if one listens for the service.
//
// Spec: smp.md 9.13
func (h *Hub) Dissociate(id, before queue.ID) *Subscriber {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.entries[id]; e != nil && e.waiting != nil {
		e.waiting.service = queue.ID{}
		h.route(e)
	}
	return h.discount(before)
}

// discount takes one notifier off a service's connection, and returns that.
func (h *Hub) discount(id queue.ID) *Subscriber {
	v := h.services[id]
	if v == nil || v.current == nil {
		return nil
	}
	v.current.served = max(0, v.current.served-1)
	return v.current
}

// Serving reports whether s listens for its service.
func (h *Hub) Serving(s *Subscriber) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return s.service != nil && s.service.current == s
}

// Counts are numbers of what the hub holds.
type Counts struct {
	Subscriptions int // notifiers with a subscriber of their own
	Services      int // services with a connection that listens
	Waiting       int // notifications
}

// Counts returns how many there are now.
func (h *Hub) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := Counts{Subscriptions: h.subscribed, Waiting: h.total}
	for _, v := range h.services {
		if v.current != nil {
			n.Services++
		}
	}
	return n
}
