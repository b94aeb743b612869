package memstore

import (
	"context"

	"sotto/services/xftp/internal/chunk"
)

// Unblock takes the mark of a blocked chunk away.
func (s *Store) Unblock(_ context.Context, ref chunk.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.current(s.chunks[ref])
	if r == nil {
		return chunk.ErrNotFound
	}
	r.Blocked, r.Blocking = false, chunk.Blocking{}
	return nil
}
