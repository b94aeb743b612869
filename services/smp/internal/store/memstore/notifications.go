package memstore

import (
	"bytes"
	"context"
	"slices"

	"sotto/services/smp/internal/queue"
)

// SaveNotifications stores notifications of notifiers that exist.
func (s *Store) SaveNotifications(_ context.Context, in []queue.Notification) ([]queue.Saved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := make([]queue.Saved, len(in))
	for i, n := range in {
		e := s.byNotifier[n.Notifier.ID]
		if e == nil {
			saved[i].Gone = true
			continue
		}
		saved[i].Service = e.record.Notifier.Service
		if e.notifications == nil {
			e.notifications = make(map[queue.MessageID]int64)
		}
		if _, again := e.notifications[n.MessageID]; !again {
			e.notifications[n.MessageID] = n.Time
		}
	}
	return saved, nil
}

// RemoveNotifications removes notifications.
func (s *Store) RemoveNotifications(_ context.Context, in []queue.Notification) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range in {
		if e := s.byNotifier[n.Notifier.ID]; e != nil {
			delete(e.notifications, n.MessageID)
		}
	}
	return nil
}

// SavedNotifications returns a page of what is stored.
func (s *Store) SavedNotifications(_ context.Context, after *queue.Notification, n int) ([]queue.Notification, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []queue.Notification
	for _, e := range s.byNotifier {
		for id, at := range e.notifications {
			one := queue.Notification{Notifier: *e.record.Notifier, MessageID: id, Time: at}
			if after == nil || compare(&one, after) > 0 {
				page = append(page, one)
			}
		}
	}
	slices.SortFunc(page, func(a, b queue.Notification) int { return compare(&a, &b) })
	return page[:min(n, len(page))], nil
}

// compare orders notifications by their notifier's id and their message's.
func compare(a, b *queue.Notification) int {
	if c := bytes.Compare(a.Notifier.ID[:], b.Notifier.ID[:]); c != 0 {
		return c
	}
	return bytes.Compare(a.MessageID[:], b.MessageID[:])
}

// ExpireNotifications removes old notifications.
//
// Spec: smp.md 10.4
func (s *Store) ExpireNotifications(_ context.Context, before int64) (removed int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.queues {
		for id, at := range e.notifications {
			if at < before {
				delete(e.notifications, id)
				removed++
			}
		}
	}
	return removed, nil
}
