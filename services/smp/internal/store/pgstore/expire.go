package pgstore

import (
	"context"
	"fmt"
	"math"

	"sotto/services/smp/internal/queue"
)

const (
	// expireRows removes from the queues $1 the entries before the first that stays, but none after $2: what is
	// later may have been committed, but its append has not returned. For each queue it returns the first entry that
	// stays, its time, how many stay (so that a repetition gives the same answer), and how many were removed.
	expireRows = `WITH k AS (
		SELECT w.id, w.last, h.seq, h.oldest FROM unnest($1::bigint[], $2::bigint[]) AS w (id, last)
		LEFT JOIN LATERAL (SELECT m.seq, CASE WHEN m.flags & 2 <> 0 THEN 9223372036854775807 ELSE m.time END AS oldest
			FROM messages m WHERE m.queue_id = w.id AND (m.time >= $3 OR m.flags & 2 <> 0) ORDER BY m.seq LIMIT 1) h ON true
	), d AS (
		DELETE FROM messages m USING k
		WHERE m.queue_id = k.id AND m.seq <= k.last AND (k.seq IS NULL OR m.seq < k.seq) RETURNING m.queue_id
	) SELECT k.id, coalesce(k.seq, 9223372036854775807), coalesce(k.oldest, 9223372036854775807),
		(SELECT count(*) FROM messages m WHERE m.queue_id = k.id AND m.seq <= k.last AND m.seq >= k.seq),
		(SELECT count(*) FROM d WHERE d.queue_id = k.id) FROM k`

	// nextQueues goes through the queues that have entries, $2 at a time from after $1, by hopping along the index.
	nextQueues = `WITH RECURSIVE hop (id) AS (
		(SELECT m.queue_id FROM messages m WHERE m.queue_id > $1 ORDER BY m.queue_id LIMIT 1)
		UNION ALL
		SELECT (SELECT m.queue_id FROM messages m WHERE m.queue_id > hop.id ORDER BY m.queue_id LIMIT 1)
		FROM hop WHERE hop.id IS NOT NULL
	) SELECT page.id, h.time < $3 AND h.flags & 2 = 0, q.id IS NULL
		FROM (SELECT id FROM hop WHERE id IS NOT NULL LIMIT $2) page
		CROSS JOIN LATERAL (SELECT m.time, m.flags FROM messages m WHERE m.queue_id = page.id ORDER BY m.seq LIMIT 1) h
		LEFT JOIN queues q ON q.id = page.id`

	// deleteOrphans removes the messages of queues that do not exist: a deletion whose outcome was never known may
	// leave some.
	deleteOrphans = `DELETE FROM messages m WHERE m.queue_id = ANY ($1::bigint[])
		AND NOT EXISTS (SELECT FROM queues q WHERE q.id = m.queue_id)`

	// expirePage is how many queues one step of ExpireAll looks at.
	expirePage = 256
)

// mayExpire reports whether the head of st may be older than limit.
func (st *state) mayExpire(limit int64) bool {
	if st.gone || st.stored == 0 {
		return false
	}
	if len(st.entries) > 0 {
		head := st.entries[0].m
		return !head.Quota && head.Time.UnixNano() < limit
	}
	return st.oldest < limit
}

// Expire removes the messages at the head of q that are older than before, and returns how many.
//
// Spec: smp.md 8.5
func (s *Store) Expire(ctx context.Context, q queue.Ref, before int64) (int64, error) {
	limit := nanos(before)
	p := patience{ctx: ctx, wait: s.options.Wait}
	defer p.end()
	var sts [1]*state
	for {
		if err := s.lockStates(ctx, []queue.Ref{q}, sts[:], 0); err != nil {
			return 0, err
		}
		st := sts[0]
		if !st.mayExpire(limit) {
			s.mu.Unlock()
			return 0, nil
		}
		busy := st.busy
		if busy == nil {
			st.claim()
			s.mu.Unlock()
			return s.expireClaimed(ctx, []*state{st}, limit)
		}
		s.mu.Unlock()
		if err := p.waitFor(busy); err != nil {
			return 0, err
		}
	}
}

// ExpireAll does for every queue what Expire does for one, and returns how many messages it removed.
//
// Spec: smp.md 8.5
func (s *Store) ExpireAll(ctx context.Context, before int64) (int64, error) {
	limit := nanos(before)
	var removed, after int64
	for {
		var page, expired, orphans []int64
		err := s.retry(ctx, "find expired messages", func(ctx context.Context) error {
			page, expired, orphans = nil, nil, nil
			rows, err := s.pool.Query(ctx, nextQueues, after, expirePage, limit)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id int64
				var old, orphan bool
				if err := rows.Scan(&id, &old, &orphan); err != nil {
					return err
				}
				page = append(page, id)
				switch {
				case orphan:
					orphans = append(orphans, id)
				case old:
					expired = append(expired, id)
				}
			}
			return rows.Err()
		})
		if err != nil {
			return removed, err
		}
		n, err := s.expireQueues(ctx, expired, limit)
		removed += n
		if err == nil && len(orphans) > 0 {
			err = s.retry(ctx, "remove orphans", func(ctx context.Context) error {
				_, err := s.pool.Exec(ctx, deleteOrphans, orphans)
				return err
			})
		}
		if err != nil || len(page) < expirePage {
			return removed, err
		}
		for _, id := range page {
			after = max(after, id)
		}
	}
}

// expireQueues expires messages of some queues. States that are not in memory are claimed but not read.
func (s *Store) expireQueues(ctx context.Context, ids []int64, limit int64) (removed int64, err error) {
	p := patience{ctx: ctx, wait: s.options.Wait}
	defer p.end()
	for len(ids) > 0 {
		var claimed []*state
		var later []int64
		var busy chan struct{}
		s.mu.Lock()
		for _, id := range ids {
			st := s.states.byRef[queue.Ref(id)]
			if st == nil {
				st = &state{ref: queue.Ref(id)}
				s.states.add(st)
			}
			if st.busy != nil {
				busy = st.busy
				later = append(later, id)
				continue
			}
			st.claim()
			claimed = append(claimed, st)
		}
		s.mu.Unlock()
		if len(claimed) > 0 {
			n, err := s.expireClaimed(ctx, claimed, limit)
			removed += n
			if err != nil {
				return removed, err
			}
		}
		if busy != nil {
			if err := p.waitFor(busy); err != nil {
				return removed, fmt.Errorf("expire messages: %w", err)
			}
		}
		ids = later
	}
	return removed, nil
}

// kept is what expireRows leaves of a queue.
type kept struct {
	seq, oldest   int64 // of the first entry that stays
	left, removed int64
}

// expireClaimed expires messages of queues whose states the caller has claimed, and releases the claims.
func (s *Store) expireClaimed(ctx context.Context, claimed []*state, limit int64) (removed int64, err error) {
	ids, last, stored := make([]int64, len(claimed)), make([]int64, len(claimed)), make([]int, len(claimed))
	s.mu.Lock()
	for i, st := range claimed {
		ids[i], last[i], stored[i] = int64(st.ref), math.MaxInt64, st.stored
		if st.loaded {
			last[i] = st.lastSeq
		}
	}
	s.mu.Unlock()
	var found map[int64]kept
	err = s.retry(ctx, "expire messages", func(ctx context.Context) (err error) {
		found, err = s.runExpiry(ctx, ids, last, limit)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, st := range claimed {
		switch k, ok := found[ids[i]]; {
		case !st.loaded:
			removed += k.removed
			s.states.remove(st)
		case err != nil:
			st.stale = true
		case ok:
			n := stored[i] - int(k.left)
			s.states.removeHead(st, n, min(k.seq-1, last[i]))
			if k.left > 0 {
				st.oldest = k.oldest
			}
			removed += int64(n)
		}
		s.release(st)
	}
	s.removed.Add(removed)
	return removed, err
}

func (s *Store) runExpiry(ctx context.Context, ids, last []int64, limit int64) (map[int64]kept, error) {
	rows, err := s.pool.Query(ctx, expireRows, ids, last, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make(map[int64]kept, len(ids))
	for rows.Next() {
		var id int64
		var k kept
		if err := rows.Scan(&id, &k.seq, &k.oldest, &k.left, &k.removed); err != nil {
			return nil, err
		}
		found[id] = k
	}
	return found, rows.Err()
}
