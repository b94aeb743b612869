package pgstore

import (
	"time"

	"sotto/shared/pg"
)

const (
	// vacuumAfter is how many removed messages make a vacuum worth while: 32 MB of the largest. So few, because the
	// pages are still in the database's cache then. A vacuum that has to read them waits for the disk again and
	// again, and while it does, the table grows: with ten times as many, the table became thirty times as large and
	// the store half as fast.
	vacuumAfter = 2000
	// vacuumIdle is how long removed messages stay when there are few of them.
	vacuumIdle = time.Minute
	// vacuumTick is how often all this is considered.
	vacuumTick = 100 * time.Millisecond
)

const (
	// Under load the freed pages are used again at once; giving them back to the file system is wasted work.
	vacuumBusy = "VACUUM (TRUNCATE false, SKIP_LOCKED true, PARALLEL 0) messages"
	vacuumCalm = "VACUUM (TRUNCATE true, SKIP_LOCKED true, PARALLEL 0) messages"
)

// vacuum keeps the table of messages small, and removed bodies from staying in it. Messages live for seconds and are
// large, so autovacuum, which looks once a minute, would let gigabytes of dead rows pile up. A vacuum is followed by
// a pause at least as long as it took.
func (s *Store) vacuum() {
	last, took := time.Now(), time.Duration(0)
	for pg.Pause(s.ctx, vacuumTick) {
		n, since := s.removed.Load(), time.Since(last)
		statement := vacuumBusy
		switch {
		case n > 0 && since >= vacuumIdle:
			statement = vacuumCalm
		case n < s.options.VacuumAfter || since < took:
			continue
		}
		start := time.Now()
		if _, err := s.pool.Exec(s.ctx, statement); err == nil {
			s.removed.Add(-n)
		}
		last, took = time.Now(), time.Since(start)
	}
}
