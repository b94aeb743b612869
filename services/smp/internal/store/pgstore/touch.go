package pgstore

import (
	"context"
	"maps"
	"sync"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

const (
	// touchEvery is how often the days of used queues are stored.
	touchEvery = 10 * time.Second
	// touchMost bounds how many queues are remembered until then. More than that in one interval are stored when
	// they are used again, at the latest on the next day.
	touchMost = 1 << 14

	touchQueues = `UPDATE queues q SET updated_day = w.day FROM unnest($1::bigint[], $2::int[]) AS w (id, day)
		WHERE q.id = w.id AND q.updated_day < w.day`
)

// touches are the queues that were used and whose day is not stored yet, and those whose day was stored lately: the
// relay goes on using records from before that.
type touches struct {
	mu     sync.Mutex
	days   map[queue.Ref]int64
	stored map[queue.Ref]int64
}

// Touch notes that q was used on this day.
func (s *Store) Touch(q *queue.Queue, day int64) {
	if q.UpdatedDay >= day {
		return
	}
	s.touches.mu.Lock()
	defer s.touches.mu.Unlock()
	if s.touches.stored[q.Ref] >= day {
		return
	}
	if s.touches.days == nil {
		s.touches.days = make(map[queue.Ref]int64)
	}
	if had, ok := s.touches.days[q.Ref]; ok || len(s.touches.days) < touchMost {
		s.touches.days[q.Ref] = max(had, day)
	}
}

// flushTouches stores the days from time to time, and at the end.
func (s *Store) flushTouches() {
	for pg.Pause(s.ctx, touchEvery) {
		s.storeTouches(s.ctx)
	}
	// The store is closing: once more, without waiting for a database that is away.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.storeTouches(ctx)
}

func (s *Store) storeTouches(ctx context.Context) {
	s.touches.mu.Lock()
	days := s.touches.days
	s.touches.days = nil
	s.touches.mu.Unlock()
	if len(days) == 0 || s.lock.Taken() {
		return
	}
	ids, at := make([]int64, 0, len(days)), make([]int32, 0, len(days))
	for q, day := range days {
		ids, at = append(ids, int64(q)), append(at, int32(day))
	}
	if _, err := s.pool.Exec(ctx, touchQueues, ids, at); err != nil {
		return // the queues will be used again
	}
	s.touches.mu.Lock()
	if s.touches.stored == nil || len(s.touches.stored) > touchMost {
		s.touches.stored = make(map[queue.Ref]int64)
	}
	maps.Copy(s.touches.stored, days)
	s.touches.mu.Unlock()
	for q, day := range days {
		s.records.change(q, func(record *queue.Queue) { record.UpdatedDay = max(record.UpdatedDay, day) })
	}
}
