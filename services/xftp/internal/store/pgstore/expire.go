package pgstore

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
)

// A period's own tables are locked before it is dropped. Nothing names them any more but an autovacuum, which gives way
// after Postgres's deadlock_timeout, or a dump; nobody waits behind this. The partitioned tables are locked by the drop
// itself. Whoever uses any period's table for the first time on a connection looks there, and would wait behind it, so
// it must not wait for long.
const (
	lockPeriod = "SET LOCAL lock_timeout = '3s'; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE"
	dropPeriod = "SET LOCAL lock_timeout = '200ms'; DROP TABLE %s"
)

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
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "DELETE FROM periods WHERE period = $1", p.start)
		if err != nil || tag.RowsAffected() == 0 {
			return err // an attempt before, whose answer was lost, has dropped it
		}
		tables := make([]string, len(partitioned))
		for i, table := range partitioned {
			tables[i] = p.table(table)
		}
		all := strings.Join(tables, ", ")
		for _, statement := range []string{lockPeriod, dropPeriod} {
			if _, err := tx.Conn().PgConn().Exec(ctx, fmt.Sprintf(statement, all)).ReadAll(); err != nil {
				return err
			}
		}
		return nil
	})
}
