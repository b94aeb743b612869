package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"sotto/shared/pg"
)

// kinds are the kinds of operations that are no changes of records, by their names.
var kinds = map[string]pg.Operation{
	"look up chunk":     pg.Lookup,
	"look up recipient": pg.Lookup,
	"download":          pg.Read,
	"store pages":       pg.Append,
	"make period":       pg.Sweep,
	"drop period":       pg.Sweep,
}

// measure notes one attempt of the operation with this name. An answer is no trouble.
func (s *Store) measure(op string, begun time.Time, err error) {
	if answer(err) != nil {
		err = nil
	}
	kind, ok := kinds[op]
	if !ok {
		kind = pg.Change
	}
	s.options.Measure.Note(kind, begun, err)
}

// Pool tells how the connections of the pool are used.
func (s *Store) Pool() *pgxpool.Stat { return s.pool.Stat() }

// Away reports whether the database has not answered for a while.
func (s *Store) Away() bool { return s.health.Away() }

// errNotReady says that the store does no work, whatever the database says.
var errNotReady = errors.New("store is closed, or its database taken")

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) error {
	if s.usable() != nil {
		return errNotReady
	}
	return pg.Wrap("ping", s.pool.Ping(ctx))
}
