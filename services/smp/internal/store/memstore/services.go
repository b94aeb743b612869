package memstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

// Service returns the service that has the fingerprint of v, which is v if there was none.
//
// Spec: smp.md 4.5
func (s *Store) Service(_ context.Context, v *queue.Service) (*queue.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if have := s.services[v.Fingerprint]; have != nil {
		return have, nil
	}
	if len(s.services) >= queue.MaxServices {
		return nil, queue.ErrFull
	}
	stored := *v
	s.services[v.Fingerprint] = &stored
	return &stored, nil
}

// Associate associates notifiers with a service, or with none.
//
// Spec: smp.md 9.13
func (s *Store) Associate(_ context.Context, notifiers []queue.ID, service queue.ID) ([]queue.Associated, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]queue.Associated, len(notifiers))
	for i, id := range notifiers {
		e := s.byNotifier[id]
		if e == nil {
			out[i].Gone = true
			continue
		}
		n := *e.record.Notifier
		out[i].Before = n.Service
		n.Service = service
		e.setNotifier(&n)
	}
	return out, nil
}

// CountAssociated returns how many notifiers are associated with a service.
func (s *Store) CountAssociated(_ context.Context, service queue.ID) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.byNotifier {
		if e.record.Notifier.Service == service {
			n++
		}
	}
	return n, nil
}
