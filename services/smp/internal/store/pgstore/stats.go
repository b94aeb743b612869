package pgstore

import (
	"context"

	"sotto/shared/pg"
)

// Bytes tells how much of the disk the whole database takes, with what is removed and not yet given back.
func (s *Store) Bytes(ctx context.Context) (int64, error) { return s.number(ctx, pg.CountBytes) }

// exactMessages is up to how many messages are counted one by one. A database with a million takes a second to count
// them.
const exactMessages = 10_000

const (
	countMessages = "SELECT count(*) FROM (SELECT FROM messages LIMIT $1) m"
	// What the last vacuum or analysis has found; -1 before the first.
	guessMessages = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'messages'::regclass"
)

// Waiting tells how many messages are stored, exactly or, if they are many, about.
func (s *Store) Waiting(ctx context.Context) (n int64, exact bool, err error) {
	if n, err = s.number(ctx, countMessages, exactMessages+1); err != nil || n <= exactMessages {
		return n, err == nil, err
	}
	guess, err := s.number(ctx, guessMessages)
	return max(n, guess), false, err
}

// number asks for a number.
func (s *Store) number(ctx context.Context, query string, args ...any) (n int64, err error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	return n, pg.Wrap("statistics", s.pool.QueryRow(ctx, query, args...).Scan(&n))
}
