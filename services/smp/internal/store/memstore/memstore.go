// Package memstore keeps queues and messages in memory. Tests of the relay use it in place of a database: nothing
// survives the process.
package memstore

import (
	"context"
	"slices"
	"sync"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

// Store is a relay's storage in memory. Its methods are safe for concurrent use and never fail for want of a
// database.
type Store struct {
	quota int

	mu          sync.Mutex // guards everything below
	lastRef     queue.Ref
	queues      map[queue.Ref]*entry
	byRecipient map[queue.ID]*entry
	bySender    map[queue.ID]*entry
	byNotifier  map[queue.ID]*entry
	byLink      map[queue.ID]*entry
	services    map[[32]byte]*queue.Service // by fingerprint
}

// entry is one queue: its record, which is replaced rather than changed, and its messages.
type entry struct {
	record   *queue.Queue
	link     *queue.Link
	messages []*queue.Message
	canWrite bool

	notifications map[queue.MessageID]int64 // by message, when it came
}

// New returns an empty store whose queues hold quota messages and the quota marker. Spec: smp.md 8.4.
func New(quota int) *Store {
	return &Store{
		quota:       quota,
		queues:      make(map[queue.Ref]*entry),
		byRecipient: make(map[queue.ID]*entry),
		bySender:    make(map[queue.ID]*entry),
		byNotifier:  make(map[queue.ID]*entry),
		byLink:      make(map[queue.ID]*entry),
		services:    make(map[[32]byte]*queue.Service),
	}
}

// Close does nothing; the store remains usable.
func (s *Store) Close() {}

// Create stores q and sets q.Ref, or returns queue.ErrExists.
func (s *Store) Create(_ context.Context, q *queue.Queue, link *queue.Link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byRecipient[q.RecipientID] != nil || s.bySender[q.SenderID] != nil {
		return queue.ErrExists
	}
	if link != nil && s.byLink[link.ID] != nil {
		return queue.ErrExists
	}
	if q.Notifier != nil && s.byNotifier[q.Notifier.ID] != nil {
		return queue.ErrExists
	}
	s.lastRef++
	q.Ref = s.lastRef
	record := *q
	record.RecipientKeys = slices.Clone(q.RecipientKeys)
	record.HasLink, record.LinkID = false, queue.ID{}
	e := &entry{record: &record, canWrite: true}
	if link != nil {
		record.HasLink, record.LinkID = true, link.ID
		e.link = copyLink(link)
		s.byLink[link.ID] = e
	}
	if q.Notifier != nil {
		notifier := *q.Notifier
		record.Notifier = &notifier
		s.byNotifier[notifier.ID] = e
	}
	s.queues[q.Ref] = e
	s.byRecipient[q.RecipientID] = e
	s.bySender[q.SenderID] = e
	return nil
}

// Count returns how many queues there are.
func (s *Store) Count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.queues))
}

// ByRecipient returns the records with these recipient ids.
func (s *Store) ByRecipient(_ context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(s.byRecipient, ids, fresh), nil
}

// BySender returns the records with these sender ids.
func (s *Store) BySender(_ context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(s.bySender, ids, fresh), nil
}

// ByNotifier returns the records with these notifier ids.
func (s *Store) ByNotifier(_ context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(s.byNotifier, ids, fresh), nil
}

// ByLink returns the records with these link ids.
func (s *Store) ByLink(_ context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(s.byLink, ids, fresh), nil
}

// lookup reports records as cached where a store with a database and a cache would.
func (s *Store) lookup(index map[queue.ID]*entry, ids []queue.ID, fresh bool) queue.Lookup {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := queue.Lookup{Queues: make([]*queue.Queue, len(ids)), Cached: make([]bool, len(ids))}
	for i, id := range ids {
		if e := index[id]; e != nil {
			found.Queues[i] = e.record
			found.Cached[i] = !fresh
		}
	}
	return found
}

// change replaces the record of q by a changed copy.
func (s *Store) change(q queue.Ref, edit func(*queue.Queue) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	if e == nil {
		return queue.ErrNotFound
	}
	record := *e.record
	if err := edit(&record); err != nil {
		return err
	}
	e.record = &record
	return nil
}

// Secure sets the sender key.
//
// Spec: smp.md 8.2
func (s *Store) Secure(_ context.Context, q queue.Ref, k key.Public) error {
	return s.change(q, func(record *queue.Queue) error {
		if record.Secured() && record.SenderKey != k {
			return queue.ErrSecured
		}
		record.SenderKey = k
		return nil
	})
}

// SetRecipientKeys replaces all recipient keys.
func (s *Store) SetRecipientKeys(_ context.Context, q queue.Ref, keys []key.Public) error {
	return s.change(q, func(record *queue.Queue) error {
		record.RecipientKeys = slices.Clone(keys)
		return nil
	})
}

// Suspend sets the status to off.
//
// Spec: smp.md 8.3
func (s *Store) Suspend(_ context.Context, q queue.Ref) error {
	return s.change(q, func(record *queue.Queue) error {
		record.Status, record.Blocking = queue.Off, queue.Blocking{}
		return nil
	})
}

// Delete removes the record, its link and its messages.
func (s *Store) Delete(_ context.Context, q queue.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	if e == nil {
		return queue.ErrNotFound
	}
	delete(s.queues, q)
	delete(s.byRecipient, e.record.RecipientID)
	delete(s.bySender, e.record.SenderID)
	if e.link != nil {
		delete(s.byLink, e.link.ID)
	}
	if e.record.Notifier != nil {
		delete(s.byNotifier, e.record.Notifier.ID)
	}
	return nil
}

// Touch notes the day on which q was used.
func (s *Store) Touch(q *queue.Queue, day int64) {
	_ = s.change(q.Ref, func(record *queue.Queue) error {
		record.UpdatedDay = max(record.UpdatedDay, day)
		return nil
	})
}
