package pgstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
)

const (
	// periodsPerTTL is how many periods a chunk's life has, at most. More of them free the disk sooner, and each
	// costs every look-up a probe of its index.
	periodsPerTTL = 8
	// endlessPeriod is the length of periods, in hours, when chunks never expire.
	endlessPeriod = 90 * 24
)

// errPast answers a chunk from a time that has expired: the clock has gone back.
var errPast = errors.New("the chunk is older than what has expired already")

// period is some hours in which chunks are created. Its tables are named by its first hour.
type period struct {
	start int32 // the first hour since the Unix epoch
	until int32 // the hour after the last; guarded by periods.mu

	counts // guarded by usage.mu
}

// table returns the name of the period's partition of a table.
func (p *period) table(of string) string { return fmt.Sprintf("%s_%d", of, p.start) }

// partitioned are the tables that each period has partitions of.
var partitioned = [...]string{"chunks", "recipients", "uploads", "pages"}

// periods are the periods whose tables exist. Only this process makes and drops tables, so memory knows them.
type periods struct {
	length int32         // of a new period, in hours
	making chan struct{} // whose place serialises making

	mu     sync.RWMutex      // guards live and doomed
	live   map[int32]*period // by start
	doomed map[int32]*period // expired, and to be dropped

	queries  atomic.Pointer[queries] // for the live ones
	dropping sync.Mutex              // serialises dropping
}

func (ps *periods) init(ttl time.Duration) {
	ps.length = periodHours(ttl)
	ps.making = make(chan struct{}, 1)
	ps.live, ps.doomed = make(map[int32]*period), make(map[int32]*period)
	ps.queries.Store(newQueries(nil))
}

// periodHours is the length of periods for a TTL: an eighth of it, rounded up to whole hours.
func periodHours(ttl time.Duration) int32 {
	if ttl <= 0 {
		return endlessPeriod
	}
	const eighth = periodsPerTTL * time.Hour
	return int32(min((ttl+eighth-1)/eighth, endlessPeriod))
}

// startOf returns the first hour of the period in which a chunk of then belongs.
func (ps *periods) startOf(created int64) (int32, bool) {
	hour := created / chunk.Hour
	if created < 0 || hour > periodMask-endlessPeriod {
		return 0, false
	}
	return int32(hour) - int32(hour)%ps.length, true
}

// A chunk's ref is a number of its own above the period it is in.
const (
	periodBits = 24
	periodMask = 1<<periodBits - 1
)

func newRef(number int64, p *period) chunk.Ref { return chunk.Ref(number<<periodBits | int64(p.start)) }

func number(ref chunk.Ref) int64 { return int64(ref) >> periodBits }

// of returns the period of ref, or chunk.ErrNotFound.
func (ps *periods) of(ref chunk.Ref) (*period, error) {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	if p := ps.live[int32(ref&periodMask)]; p != nil {
		return p, nil
	}
	return nil, chunk.ErrNotFound
}

// period returns the period of chunks created then, and makes it if it is not there.
func (s *Store) period(ctx context.Context, created int64) (*period, error) {
	ps := &s.periods
	start, ok := ps.startOf(created)
	if !ok {
		return nil, errPast
	}
	until := start + ps.length
	if p, err := ps.covering(start, until); p != nil || err != nil {
		return p, err
	}
	select {
	case ps.making <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-ps.making }()
	if p, err := ps.covering(start, until); p != nil || err != nil {
		return p, err
	}
	if err := s.makePeriod(ctx, start, until); err != nil {
		return nil, err
	}
	return ps.add(start, until), nil
}

// covering returns the live period that begins at start, if it reaches until; one that was made with a shorter TTL
// may not. It returns errPast when that period is being dropped.
func (ps *periods) covering(start, until int32) (*period, error) {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	if ps.doomed[start] != nil {
		return nil, errPast
	}
	if p := ps.live[start]; p != nil && p.until >= until {
		return p, nil
	}
	return nil, nil
}

// add puts a period whose tables exist among the live ones.
func (ps *periods) add(start, until int32) *period {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.live[start]
	if p == nil {
		p = &period{start: start}
		ps.live[start] = p
	}
	p.until = max(p.until, until)
	ps.changed()
	return p
}

// doom takes the periods whose chunks were all created before oldest from the live ones, so that no new statement
// names their tables, and returns all that are to be dropped.
func (ps *periods) doom(oldest int64) []*period {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for start, p := range ps.live {
		if int64(p.until)*chunk.Hour <= oldest {
			delete(ps.live, start)
			ps.doomed[start] = p
		}
	}
	ps.changed()
	return slices.Collect(maps.Values(ps.doomed))
}

// forget is told that the tables of p are gone.
func (ps *periods) forget(p *period) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	delete(ps.doomed, p.start)
}

// changed makes the statements anew that name all live periods. Called with mu locked.
func (ps *periods) changed() {
	all := slices.SortedFunc(maps.Values(ps.live), func(a, b *period) int { return int(a.start - b.start) })
	ps.queries.Store(newQueries(all))
}

// makePeriod makes the tables of a period. A table is made first and attached then, because that waits for nobody who
// reads or writes, and is not waited for.
func (s *Store) makePeriod(ctx context.Context, start, until int32) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "INSERT INTO periods (period, until) VALUES ($1, $2) ON CONFLICT DO NOTHING", start, until)
		if err != nil {
			return err
		}
		if tag.RowsAffected() == 0 {
			_, err := tx.Exec(ctx, "UPDATE periods SET until = greatest(until, $2) WHERE period = $1", start, until)
			return err
		}
		_, err = tx.Conn().PgConn().Exec(ctx, makeTables(start)).ReadAll()
		return err
	})
}

// pageOptions are for tables that are dropped as a whole soon. Only deleted bodies make a vacuum worth while, from
// 128 MB of them on: then their room is used again.
const pageOptions = `ALTER TABLE pages_%[1]d SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 16000,
	autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2000000000, vacuum_truncate = false)`

func makeTables(start int32) string {
	var b strings.Builder
	for _, table := range partitioned {
		fmt.Fprintf(&b, "CREATE TABLE %[1]s_%[2]d (LIKE %[1]s INCLUDING ALL);\n", table, start)
		if table == "pages" {
			fmt.Fprintf(&b, pageOptions+";\n", start)
		}
		fmt.Fprintf(&b, "ALTER TABLE %[1]s ATTACH PARTITION %[1]s_%[2]d FOR VALUES IN (%[2]d);\n", table, start)
	}
	return b.String()
}

// expiredBefore is the first time of creation that has not expired at now.
//
// Spec: xftp.md 10.3
func (s *Store) expiredBefore(now int64) int64 {
	if s.options.TTL <= 0 {
		return math.MinInt64
	}
	return now - int64(s.options.TTL/time.Second) - chunk.Hour
}

// oldest is the first time of creation that has not expired now.
func (s *Store) oldest() int64 { return s.expiredBefore(s.options.Now().Unix()) }
