package memstore

import "context"

// Bytes tells that nothing is on the disk.
func (s *Store) Bytes(context.Context) (int64, error) { return 0, nil }

// Waiting tells how many messages are stored, which is always exact.
func (s *Store) Waiting(context.Context) (n int64, exact bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.queues {
		n += int64(len(e.messages))
	}
	return n, true, nil
}
