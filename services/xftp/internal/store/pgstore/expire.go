package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
)

// dropPatience bounds waiting for a table that is in use. It is longer than Postgres's deadlock_timeout, after which an
// autovacuum gives way, and nobody waits behind it but a dump or the making of another period.
const dropPatience = "3s"

// Expire drops the periods whose chunks have all expired. The chunks of a period that has not ended, or not expired
// to its last, are not found any more; they take up room until the period is dropped. The periods of now and after are
// made, so that no client waits for that.
func (s *Store) Expire(ctx context.Context, now int64) (n int64, err error) {
	for _, at := range []int64{now, now + int64(s.periods.length)*chunk.Hour} {
		if err := s.retry(ctx, "make period", func(ctx context.Context) error {
			_, err := s.period(ctx, at)
			return err
		}); err != nil {
			return 0, err
		}
	}
	s.periods.dropping.Lock()
	defer s.periods.dropping.Unlock()
	for _, p := range s.periods.doom(s.expiredBefore(now)) {
		if err := s.retry(ctx, "drop period", func(ctx context.Context) error { return s.drop(ctx, p) }); err != nil {
			return n, err
		}
		n += s.usage.drop(p)
		s.periods.forget(p)
	}
	return n, nil
}

// drop drops the tables of a period. It may be repeated.
func (s *Store) drop(ctx context.Context, p *period) error {
	tables := make([]string, len(partitioned))
	for i, table := range partitioned {
		tables[i] = p.table(table)
	}
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		drop := fmt.Sprintf("SET LOCAL lock_timeout = '%s'; DROP TABLE IF EXISTS %s", dropPatience, strings.Join(tables, ", "))
		if _, err := tx.Conn().PgConn().Exec(ctx, drop).ReadAll(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "DELETE FROM periods WHERE period = $1", p.start)
		return err
	})
}
