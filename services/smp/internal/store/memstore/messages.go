package memstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

// Append adds each message at the tail of its queue.
//
// Spec: smp.md 8.4
func (s *Store) Append(_ context.Context, in []queue.NewMessage, results []queue.Appended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, m := range in {
		e := s.queues[m.Queue]
		if e == nil {
			results[i] = queue.Appended{Err: queue.ErrNotFound}
			continue
		}
		results[i] = e.write(m.Message, s.quota)
	}
}

// write is the function of the same name in the specification.
func (e *entry) write(m *queue.Message, quota int) queue.Appended {
	size := len(e.messages)
	if !e.canWrite && size > 0 {
		return queue.Appended{Err: queue.ErrQuota}
	}
	e.canWrite = size < quota
	if !e.canWrite {
		e.messages = append(e.messages, &queue.Message{ID: m.ID, Time: m.Time, Quota: true})
		return queue.Appended{WasEmpty: size == 0, Err: queue.ErrQuota}
	}
	e.messages = append(e.messages, m)
	return queue.Appended{WasEmpty: size == 0}
}

// removeHead drops the first n entries.
func (e *entry) removeHead(n int) {
	clear(e.messages[:n])
	e.messages = e.messages[n:]
}

// head returns the first entry of q.
func (s *Store) head(q queue.Ref) queue.Head {
	switch e := s.queues[q]; {
	case e == nil:
		return queue.Head{Err: queue.ErrNotFound}
	case len(e.messages) == 0:
		return queue.Head{}
	default:
		return queue.Head{Message: e.messages[0]}
	}
}

// Acknowledge removes each queue's head if it is the one named, then tells the head that the queue has now.
//
// Spec: smp.md 9.5
func (s *Store) Acknowledge(_ context.Context, in []queue.Acknowledgement, results []queue.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range in {
		if h := s.head(a.Queue); h.Message != nil && h.Message.ID == a.ID {
			s.queues[a.Queue].removeHead(1)
		}
		results[i] = s.head(a.Queue)
	}
}

// Heads returns the first entry of each queue.
func (s *Store) Heads(_ context.Context, qs []queue.Ref, results []queue.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range qs {
		results[i] = s.head(q)
	}
}

// NonEmpty reports for each queue whether it has entries; a queue that does not exist has none.
func (s *Store) NonEmpty(_ context.Context, qs []queue.Ref) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	has := make([]bool, len(qs))
	for i, q := range qs {
		e := s.queues[q]
		has[i] = e != nil && len(e.messages) > 0
	}
	return has, nil
}

// Size returns the number of entries of the queue and its head without its body.
func (s *Store) Size(_ context.Context, q queue.Ref) (int, *queue.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.head(q)
	if h.Message == nil {
		return 0, nil, h.Err
	}
	bare := &queue.Message{ID: h.Message.ID, Time: h.Message.Time, Notify: h.Message.Notify, Quota: h.Message.Quota}
	return len(s.queues[q].messages), bare, nil
}

// Expire removes the messages at the head of q that are older than before, and returns how many.
//
// Spec: smp.md 8.5
func (s *Store) Expire(_ context.Context, q queue.Ref, before int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.queues[q]; e != nil {
		return e.expire(before), nil
	}
	return 0, nil
}

// expire returns how many messages it removed.
func (e *entry) expire(before int64) int64 {
	n := 0
	for n < len(e.messages) && !e.messages[n].Quota && e.messages[n].Time.Unix() < before {
		n++
	}
	e.removeHead(n)
	return int64(n)
}

// ExpireAll does for every queue what Expire does for one, and returns how many messages it removed.
func (s *Store) ExpireAll(_ context.Context, before int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed int64
	for _, e := range s.queues {
		removed += e.expire(before)
	}
	return removed, nil
}
