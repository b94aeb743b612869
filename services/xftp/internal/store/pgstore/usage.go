package pgstore

import (
	"context"
	"sync"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
)

// counts are what a period holds.
type counts struct {
	records int64 // chunks, with or without a body
	chunks  int64 // with a body
	bytes   int64 // of bodies
	dropped bool  // the tables are gone, so nothing counts any more
}

// usage counts what is stored and what uploads have reserved. What has expired counts until its period is dropped,
// since it takes up the disk until then.
type usage struct {
	mu       sync.Mutex
	chunks   int64
	bytes    int64
	reserved int64
	quota    int64 // 0: unlimited
}

// Usage tells what is stored, from memory.
func (s *Store) Usage() server.Usage {
	u := &s.usage
	u.mu.Lock()
	defer u.mu.Unlock()
	return server.Usage{Chunks: u.chunks, Bytes: u.bytes, Reserved: u.reserved, Quota: u.quota}
}

// reserve takes room for a body, or returns chunk.ErrQuota.
func (u *usage) reserve(size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.quota > 0 && u.bytes+u.reserved+size > u.quota {
		return chunk.ErrQuota
	}
	u.reserved += size
	return nil
}

// release gives back what was reserved.
func (u *usage) release(size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved -= size
}

// stored turns what was reserved into a body of p.
func (u *usage) stored(p *period, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reserved -= size
	u.count(p, 0, 1, size)
}

// add counts records, and chunks with bodies of so many bytes.
func (u *usage) add(p *period, records, chunks, bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count(p, records, chunks, bytes)
}

// count adds to the counts. What happened to a period before it was dropped may be told after; it is ignored then.
func (u *usage) count(p *period, records, chunks, bytes int64) {
	if p.dropped {
		return
	}
	p.records += records
	p.chunks += chunks
	p.bytes += bytes
	u.chunks += chunks
	u.bytes += bytes
}

// drop uncounts a whole period and returns how many chunks it had.
func (u *usage) drop(p *period) int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := p.records
	u.count(p, -p.records, -p.chunks, -p.bytes)
	p.dropped = true
	return n
}

const countChunks = `SELECT p.period, p.until, count(c.ref), count(c.body), coalesce(sum(c.size) FILTER (WHERE c.body IS NOT NULL), 0)::bigint
	FROM periods p LEFT JOIN chunks c USING (period) GROUP BY p.period`

// load reads the periods and counts what they hold.
func (s *Store) load(ctx context.Context) error {
	s.usage.quota = s.options.Quota
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on"); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, countChunks)
		if err != nil {
			return err
		}
		var start, until int32
		var c counts
		_, err = pgx.ForEachRow(rows, []any{&start, &until, &c.records, &c.chunks, &c.bytes}, func() error {
			s.usage.add(s.periods.add(start, until), c.records, c.chunks, c.bytes)
			return nil
		})
		return err
	})
}
