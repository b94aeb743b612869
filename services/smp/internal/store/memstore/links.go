package memstore

import (
	"bytes"
	"context"
	"slices"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
)

// SetLink gives q a link, or the one that it has other user data.
//
// Spec: smp.md 9.12
func (s *Store) SetLink(_ context.Context, q queue.Ref, l *queue.Link) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	switch {
	case e == nil:
		return queue.ErrNotFound
	case e.record.Mode != queue.ModeContact && e.record.Secured():
		return queue.ErrSecured
	case e.link != nil && (e.link.ID != l.ID || !bytes.Equal(e.link.FixedData, l.FixedData)):
		return queue.ErrExists
	case e.link == nil && s.byLink[l.ID] != nil:
		return queue.ErrExists
	}
	record := *e.record
	record.HasLink, record.LinkID = true, l.ID
	e.record, e.link = &record, copyLink(l)
	s.byLink[l.ID] = e
	return nil
}

// copyLink keeps callers from changing what is stored; it is replaced, never changed.
func copyLink(l *queue.Link) *queue.Link {
	return &queue.Link{ID: l.ID, FixedData: slices.Clone(l.FixedData), UserData: slices.Clone(l.UserData)}
}

// Link returns the data of the link of q.
//
// Spec: smp.md 9.12
func (s *Store) Link(_ context.Context, q queue.Ref, id queue.ID) (*queue.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link(q, id)
}

func (s *Store) link(q queue.Ref, id queue.ID) (*queue.Link, error) {
	e := s.queues[q]
	if e == nil || e.link == nil || e.link.ID != id {
		return nil, queue.ErrNotFound
	}
	return copyLink(e.link), nil
}

// SecureLink sets the sender key of q and returns its link, both or neither.
//
// Spec: smp.md 9.12
func (s *Store) SecureLink(_ context.Context, q queue.Ref, id queue.ID, k key.Public) (*queue.Link, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.link(q, id)
	if err != nil {
		return nil, err
	}
	e := s.queues[q]
	if e.record.Secured() && e.record.SenderKey != k {
		return nil, queue.ErrSecured
	}
	record := *e.record
	record.SenderKey = k
	e.record = &record
	return l, nil
}

// DeleteLink removes the link of q, if it has any.
//
// Spec: smp.md 9.12
func (s *Store) DeleteLink(_ context.Context, q queue.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.queues[q]
	if e == nil {
		return queue.ErrNotFound
	}
	if e.link == nil {
		return nil
	}
	delete(s.byLink, e.link.ID)
	record := *e.record
	record.HasLink, record.LinkID = false, queue.ID{}
	e.record, e.link = &record, nil
	return nil
}
