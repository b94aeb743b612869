package pgstore

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/smp/internal/queue"
)

// Flags of a row in messages.
const (
	flagNotify = 1
	flagQuota  = 2
)

// selectStates reads for each queue that exists what a state needs, and the first $2 entries.
const selectStates = `SELECT w.n, s.size, s.last, s.full, s.oldest, h.seq, h.time, h.flags, h.msg_id, h.body
	FROM unnest($1::bigint[]) WITH ORDINALITY AS w (id, n) JOIN queues q ON q.id = w.id
	CROSS JOIN LATERAL (SELECT count(*) AS size, coalesce(max(m.seq), 0) AS last, coalesce(bool_or(m.flags & 2 <> 0), false) AS full,
		coalesce(min(m.time), 9223372036854775807) AS oldest FROM messages m WHERE m.queue_id = w.id) s
	LEFT JOIN LATERAL (SELECT m.seq, m.time, m.flags, m.msg_id, m.body FROM messages m
		WHERE m.queue_id = w.id ORDER BY m.seq LIMIT $2) h ON true
	ORDER BY w.n, h.seq`

// headsAtOnce bounds how many entries are read together, so that one answer stays within a few megabytes.
const headsAtOnce = 8

// headsFor returns how many entries of each of n queues to read.
func headsFor(n int) int { return max(1, headsAtOnce/max(1, n)) }

// fetched is one queue as it is in the database.
type fetched struct {
	found   bool
	full    bool // the quota marker is in the queue
	size    int
	last    int64
	oldest  int64
	entries []entry
}

// fetch reads the queues of states that the caller has claimed, with up to heads entries each, and releases the
// claims. It fills in the states that were not loaded and gives the others the entries. It returns the first entry
// of each, nil for empty queues.
func (s *Store) fetch(ctx context.Context, claimed []*state, heads int) ([]*queue.Message, error) {
	refs := make([]int64, len(claimed))
	for i, st := range claimed {
		refs[i] = int64(st.ref)
	}
	var found []fetched
	err := s.retry(ctx, "load queues", func(ctx context.Context) (err error) {
		found, err = s.readStates(ctx, refs, heads)
		return err
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	first := make([]*queue.Message, len(claimed))
	for i, st := range claimed {
		switch {
		case err != nil && !st.loaded:
			s.states.remove(st)
		case err == nil && !st.loaded:
			st.fill(&found[i])
			fallthrough
		case err == nil:
			first[i] = s.states.install(st, found[i].entries)
			s.states.reconcile(st, &found[i], first[i] != nil, heads)
		}
		s.release(st)
	}
	s.states.trim()
	return first, err
}

// fill takes over what the database says about a queue that was not in memory.
//
// Spec: smp.md 8.4, canWrite is off if the marker is in the queue.
func (st *state) fill(f *fetched) {
	st.loaded, st.gone = true, !f.found
	st.size, st.stored = f.size, f.size
	st.canWrite = !f.full
	st.lastSeq, st.nextSeq = f.last, f.last+1
	st.oldest = f.oldest
	if !f.found {
		st.oldest = math.MaxInt64
	}
}

// install puts entries read from the head on into memory and returns the first. Entries that were committed but are
// not counted yet are left out: an append that has not returned has not happened.
func (t *states) install(st *state, entries []entry) *queue.Message {
	for len(entries) > 0 && entries[len(entries)-1].seq > st.lastSeq {
		entries = entries[:len(entries)-1]
	}
	if len(entries) == 0 {
		return nil
	}
	if len(st.entries) == 0 {
		for _, e := range entries {
			t.keep(st, e)
		}
	}
	return entries[0].m
}

// reconcile believes the database where a state says that there are entries and there are none: somebody other than
// the relay has been at the tables.
func (t *states) reconcile(st *state, f *fetched, any bool, heads int) {
	st.gone = !f.found
	if st.stored > 0 && heads > 0 && !any {
		t.removeHead(st, st.stored, st.lastSeq)
	}
}

func (s *Store) readStates(ctx context.Context, refs []int64, heads int) ([]fetched, error) {
	rows, err := s.pool.Query(ctx, selectStates, refs, heads)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make([]fetched, len(refs))
	for rows.Next() {
		if err := scanState(rows, found); err != nil {
			return nil, err
		}
	}
	return found, rows.Err()
}

func scanState(rows pgx.Rows, found []fetched) error {
	var (
		n       int64
		f       fetched
		seq, at *int64
		flags   *int16
		id      []byte
		body    []byte
	)
	if err := rows.Scan(&n, &f.size, &f.last, &f.full, &f.oldest, &seq, &at, &flags, &id, &body); err != nil {
		return err
	}
	f.found = true
	f.entries = found[n-1].entries
	if seq != nil && at != nil && flags != nil {
		if len(id) != len(queue.MessageID{}) {
			return errMessage
		}
		f.entries = append(f.entries, entry{seq: *seq, m: &queue.Message{
			ID:     queue.MessageID(id),
			Time:   time.Unix(0, *at).UTC(),
			Notify: *flags&flagNotify != 0,
			Quota:  *flags&flagQuota != 0,
			Body:   body,
		}})
	}
	found[n-1] = f
	return nil
}

// errMessage says that a row is not one that the relay writes.
var errMessage = errors.New("a message in the database is damaged")
