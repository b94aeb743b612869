package memstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

// Block sets the status to blocked.
//
// Spec: smp.md 8.3
func (s *Store) Block(_ context.Context, q queue.Ref, b queue.Blocking) error {
	return s.change(q, func(record *queue.Queue) error {
		record.Block(b)
		return nil
	})
}

// Unblock gives a blocked queue the status that it had before.
//
// Spec: smp.md 8.3
func (s *Store) Unblock(_ context.Context, q queue.Ref) error {
	return s.change(q, func(record *queue.Queue) error {
		record.Unblock()
		return nil
	})
}
