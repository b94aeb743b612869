package server

import (
	"context"
	"errors"
	"time"

	"sotto/services/smp/internal/notify"
	"sotto/services/smp/internal/queue"
)

const (
	// notificationBatch is how many notifications are stored, removed or read at once: 100 KB.
	notificationBatch = 1000
	// notificationExpiry is how often old notifications are removed. Spec: smp.md 12
	notificationExpiry = time.Hour
	// lastSave bounds the saving of notifications when a relay stops that could not end its connections in time.
	lastSave = time.Second
)

// deliverNotifications wakes, at each interval, the connections that notifications wait for. Each takes as many as it
// reads; the others stay.
//
// Spec: smp.md 10.4
func (s *Server) deliverNotifications() {
	defer s.wg.Done()
	due, done := every(s.cfg.NotificationInterval)
	defer done()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-due:
			for _, sub := range s.notify.Ready() {
				sub.Owner().(*conn).out.notify()
			}
		}
	}
}

// keepNotifications saves, at each interval, those that could not be delivered, after it has read those saved before
// the start, and removes old ones. It has a goroutine of its own: a database that is away holds up no delivery.
func (s *Server) keepNotifications() {
	defer s.wg.Done()
	due, done := every(s.cfg.NotificationInterval)
	defer done()
	expiry, expiryDone := every(notificationExpiry)
	defer expiryDone()
	s.expireNotifications() // the relay may have been away for long
	restore := restoring{s: s}
	restored := restore.run(s.ctx)
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-due:
			if restored = restored || restore.run(s.ctx); restored {
				s.saveNotifications(s.ctx, false)
			}
		case <-expiry:
			s.expireNotifications()
		}
	}
}

// restoring reads what was saved before the start, in pages.
type restoring struct {
	s    *Server
	last *queue.Notification // of the page before
}

// run reads on until the end; false when the store fails.
func (r *restoring) run(ctx context.Context) bool {
	for {
		page, err := r.s.store.SavedNotifications(ctx, r.last, notificationBatch)
		if err != nil {
			return false
		}
		if !r.s.notify.Restore(page) || len(page) < notificationBatch {
			return true
		}
		r.last = &page[len(page)-1]
	}
}

// saveNotifications brings what is saved in step with what waits. What fails is tried again at the next interval.
func (s *Server) saveNotifications(ctx context.Context, all bool) {
	defer s.recoverBug()
	s.notify.Round(all)
	for {
		removed := s.notify.Removed(notificationBatch)
		if len(removed) == 0 {
			break
		}
		if s.store.RemoveNotifications(ctx, removed) != nil {
			s.notify.NotRemoved(removed)
			return
		}
	}
	for {
		unsaved := s.notify.Unsaved(notificationBatch)
		if len(unsaved) == 0 {
			return
		}
		saved, err := s.store.SaveNotifications(ctx, unsaved)
		if err != nil {
			s.notify.NotSaved(unsaved)
			return
		}
		s.notify.Saved(unsaved, saved)
	}
}

// expireNotifications removes old notifications, from memory and from the store.
//
// Spec: smp.md 10.4
func (s *Server) expireNotifications() {
	defer s.recoverBug()
	if s.cfg.NotificationTTL <= 0 {
		return
	}
	before := s.now().Add(-s.cfg.NotificationTTL).UnixNano()
	s.count.NotificationsExpired.Add(uint64(s.notify.Expire(before)))
	if _, err := s.store.ExpireNotifications(s.ctx, before); err != nil && !errors.Is(err, context.Canceled) {
		s.log.Error().Str("op", "expire notifications").Msg("old notifications could not be removed; it is tried again at the next interval")
	}
}

// Notifications returns how many subscriptions to notifiers, services and waiting notifications there are now.
func (s *Server) Notifications() notify.Counts { return s.notify.Counts() }
