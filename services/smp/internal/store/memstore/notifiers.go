package memstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

// SetNotifier gives q credentials in place of those it has, and returns what it has replaced.
//
// Spec: smp.md 9.8
func (s *Store) SetNotifier(_ context.Context, q queue.Ref, n *queue.Notifier) (replaced queue.Ended, err error) {
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

// DeleteNotifier removes the credentials of q, if it has any, and returns what it has removed.
//
// Spec: smp.md 9.8
func (s *Store) DeleteNotifier(_ context.Context, q queue.Ref) (removed queue.Ended, err error) {
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

// dropNotifier forgets what belongs to the notifier of e.
func (s *Store) dropNotifier(e *entry) (old queue.Ended) {
	if n := e.record.Notifier; n != nil {
		old = queue.Ended{ID: n.ID, Service: n.Service}
		delete(s.byNotifier, n.ID)
		e.notifications = nil
	}
	return old
}

// setNotifier replaces the record by one with this notifier.
func (e *entry) setNotifier(n *queue.Notifier) {
	record := *e.record
	record.Notifier = n
	e.record = &record
}
