package pgstore

import (
	"context"
	"sync"

	"sotto/services/xftp/internal/chunk"
)

// numberBlock is how many numbers a process takes from the sequence at a time, which is its increment.
const numberBlock = 65536

// numbers gives out numbers that were never given out before, from 1.
type numbers struct {
	mu   sync.Mutex // held while the database is asked
	next int64
	left int64
}

// number returns a number that nobody else has or had.
func (s *Store) number(ctx context.Context) (int64, error) {
	n := &s.numbers
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left == 0 {
		var first int64
		if err := s.pool.QueryRow(ctx, "SELECT nextval('numbers')").Scan(&first); err != nil {
			return 0, err
		}
		n.next, n.left = first+1, numberBlock
	}
	n.next++
	n.left--
	return n.next - 1, nil
}

// reservedIDs are the ids that are being stored. No index spans all periods, so two calls with one id must not look
// whether it is taken at the same time.
type reservedIDs struct {
	mu    sync.Mutex
	taken map[chunk.ID]bool
}

// reserve takes all ids, or none and returns chunk.ErrExists.
func (r *reservedIDs) reserve(ids []chunk.ID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, id := range ids {
		if r.taken[id] {
			r.remove(ids[:i])
			return chunk.ErrExists
		}
		r.taken[id] = true
	}
	return nil
}

func (r *reservedIDs) release(ids []chunk.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remove(ids)
}

func (r *reservedIDs) remove(ids []chunk.ID) {
	for _, id := range ids {
		delete(r.taken, id)
	}
}
