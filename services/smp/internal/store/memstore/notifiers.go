package memstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

// SetNotifier gives q credentials in place of those it has, and returns the id of those.
//
// Spec: smp.md 9.8
func (s *Store) SetNotifier(_ context.Context, q queue.Ref, n *queue.Notifier) (replaced queue.ID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	if e == nil {
		return replaced, queue.ErrNotFound
	}
	if other := s.byNotifier[n.ID]; other != nil && other != e {
		return replaced, queue.ErrExists
	}
	replaced = s.dropNotifier(e)
	notifier := *n
	notifier.Service = queue.ID{}
	e.setNotifier(&notifier)
	s.byNotifier[n.ID] = e
	return replaced, nil
}

// DeleteNotifier removes the credentials of q, if it has any, and returns their id.
//
// Spec: smp.md 9.8
func (s *Store) DeleteNotifier(_ context.Context, q queue.Ref) (removed queue.ID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	if e == nil {
		return removed, queue.ErrNotFound
	}
	removed = s.dropNotifier(e)
	e.setNotifier(nil)
	return removed, nil
}

// dropNotifier forgets what belongs to the notifier of e, and returns its id.
func (s *Store) dropNotifier(e *entry) (id queue.ID) {
	if e.record.Notifier != nil {
		id = e.record.Notifier.ID
		delete(s.byNotifier, id)
		e.notifications = nil
	}
	return id
}

// setNotifier replaces the record by one with this notifier.
func (e *entry) setNotifier(n *queue.Notifier) {
	record := *e.record
	record.Notifier = n
	e.record = &record
}
