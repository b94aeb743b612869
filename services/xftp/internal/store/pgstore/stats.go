package pgstore

import (
	"context"

	"sotto/shared/pg"
)

// Bytes tells how much of the disk the whole database takes, with what is removed and not yet given back.
func (s *Store) Bytes(ctx context.Context) (n int64, err error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	return n, pg.Wrap("statistics", s.pool.QueryRow(ctx, pg.CountBytes).Scan(&n))
}
