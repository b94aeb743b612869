package notify

import "sotto/services/smp/internal/queue"

// service is a notification service: at most one connection listens to all notifiers that are associated with it.
type service struct {
	id      queue.ID
	current *Subscriber // nil: none
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

// tidyBox forgets the service of a mailbox that is empty and that no connection reads.
func (h *Hub) tidyBox(b *mailbox) {
	if b != nil && b.service != nil && b.first == nil && b.reader == nil {
		delete(h.services, b.service.id)
	}
}

// leaveService ends what s has as the connection of a service.
func (h *Hub) leaveService(s *Subscriber) {
	v := s.service
	if v == nil || v.current != s {
		return
	}
	v.current, v.mail.reader = nil, nil
	h.tidyBox(&v.mail)
}
