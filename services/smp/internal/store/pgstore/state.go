package pgstore

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"sotto/services/smp/internal/queue"
)

// state is what the store knows of one queue's messages. All fields are guarded by Store.mu.
//
// The database has rows of this queue that are not counted in stored only while an append is in flight, and lacks
// rows that are counted only while a removal is. So what callers are told follows from the state alone: if a
// recipient was told that the queue is empty, the next append reports WasEmpty.
type state struct {
	ref      queue.Ref
	loaded   bool  // the fields below are true; else the state is being read for the first time
	gone     bool  // there is no such queue, or it is being deleted
	stale    bool  // memory and database disagree: forget the state when nobody uses it
	size     int   // entries stored and on their way
	stored   int   // entries stored
	canWrite bool  // smp.md 8.4
	nextSeq  int64 // of the next entry
	lastSeq  int64 // of the last entry stored
	oldest   int64 // if entries is empty, the head is not older than this, in nanoseconds

	entries []entry // from the head on without gaps; empty although stored > 0: not in memory
	bytes   int64   // of entries

	busy   chan struct{} // not nil while one operation reads, removes or deletes entries; closed when that ends
	pins   int           // uses that forbid to evict the state
	flying int           // appends in flight
	landed chan struct{} // closed when flying falls to 0; made by Delete

	used   *list.Element // in states.used
	cached *list.Element // in states.cached, when entries is not empty
}

// entry is a message in memory with its place in the queue.
type entry struct {
	seq int64
	m   *queue.Message
}

// entryOverhead is what an entry costs beyond its body.
const entryOverhead = 160

func cost(m *queue.Message) int64 { return int64(len(m.Body)) + entryOverhead }

// states holds the states of recently used queues, and a budget of messages. Guarded by Store.mu.
type states struct {
	max      int
	maxBytes int64

	byRef  map[queue.Ref]*state
	used   list.List // of *state, the most recently used first
	cached list.List // of *state with entries, likewise
	bytes  int64     // of all entries
}

func (t *states) init(most int, mostBytes int64) {
	t.max, t.maxBytes = most, mostBytes
	t.byRef = make(map[queue.Ref]*state)
}

// add makes room for a state and adds it.
func (t *states) add(st *state) {
	t.byRef[st.ref] = st
	st.used = t.used.PushFront(st)
	for tries := t.used.Len(); len(t.byRef) > t.max && tries > 0; tries-- {
		oldest := t.used.Back().Value.(*state)
		if oldest.idle() {
			t.remove(oldest)
		} else {
			t.used.MoveToFront(oldest.used)
		}
	}
}

// idle reports whether nothing would be lost with the state.
func (st *state) idle() bool { return st.pins == 0 && st.busy == nil && st.size == st.stored }

func (t *states) remove(st *state) {
	t.dropEntries(st)
	if t.byRef[st.ref] == st {
		delete(t.byRef, st.ref)
	}
	if st.used != nil {
		t.used.Remove(st.used)
		st.used = nil
	}
}

// touch notes that st is in use.
func (t *states) touch(st *state) {
	t.used.MoveToFront(st.used)
	if st.cached != nil {
		t.cached.MoveToFront(st.cached)
	}
}

// keep adds an entry that follows the entries in memory without a gap.
func (t *states) keep(st *state, e entry) {
	st.entries = append(st.entries, e)
	st.bytes += cost(e.m)
	t.bytes += cost(e.m)
	if st.cached == nil {
		st.cached = t.cached.PushFront(st)
	}
}

// trim forgets messages, those of the least recently used queues first, until the rest is within the budget.
func (t *states) trim() {
	for e := t.cached.Back(); e != nil && t.bytes > t.maxBytes; {
		st := e.Value.(*state)
		e = e.Prev()
		if st.pins == 0 { // else its entries are being looked at
			t.dropEntries(st)
		}
	}
}

func (t *states) dropEntries(st *state) {
	t.bytes -= st.bytes
	st.entries, st.bytes = nil, 0
	if st.cached != nil {
		t.cached.Remove(st.cached)
		st.cached = nil
	}
}

// removeHead notes that n stored entries with sequence numbers up to last are gone.
func (t *states) removeHead(st *state, n int, last int64) {
	st.stored -= n
	st.size -= n
	drop := 0
	for drop < len(st.entries) && st.entries[drop].seq <= last {
		st.bytes -= cost(st.entries[drop].m)
		t.bytes -= cost(st.entries[drop].m)
		drop++
	}
	rest := copy(st.entries, st.entries[drop:])
	clear(st.entries[rest:])
	st.entries = st.entries[:rest]
	if rest == 0 {
		t.dropEntries(st)
	}
	if st.stored == 0 {
		st.oldest = math.MaxInt64
	} else {
		st.oldest = math.MinInt64
	}
}

// land counts an entry that is stored now, and reports whether it is the only one.
func (t *states) land(st *state, e entry) (wasEmpty bool) {
	whole := len(st.entries) == st.stored
	st.stored++
	st.lastSeq = e.seq
	st.oldest = min(st.oldest, e.m.Time.UnixNano())
	if whole {
		t.keep(st, e)
	}
	return st.stored == 1
}

// claim makes the caller the one that reads, removes or deletes entries of st.
func (st *state) claim() { st.busy = make(chan struct{}) }

// release ends a claim.
func (s *Store) release(st *state) {
	close(st.busy)
	st.busy = nil
	s.unpin(st, 0)
}

// unpin ends n uses of st.
func (s *Store) unpin(st *state, n int) {
	st.pins -= n
	if (st.stale || st.gone) && st.idle() {
		s.states.remove(st)
	}
}

// addEmpty adds the state of a queue just created.
func (s *Store) addEmpty(ref queue.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.states.byRef[ref] == nil {
		s.states.add(&state{ref: ref, loaded: true, canWrite: true, nextSeq: 1, oldest: math.MaxInt64})
	}
}

// lockStates returns with s.mu locked and the states of qs in into, in their order; those of queues that do not
// exist are gone. What is not in memory is read with one query, heads entries of each queue with it. When it
// returns an error, s.mu is not locked.
func (s *Store) lockStates(ctx context.Context, qs []queue.Ref, into []*state, heads int) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.mu.Lock()
	for i, q := range qs {
		st := s.states.byRef[q]
		if st == nil || !st.loaded {
			return s.load(ctx, qs, into, heads)
		}
		s.states.touch(st)
		into[i] = st
	}
	return nil
}

// load is lockStates when at least one state is not in memory. It is called with s.mu locked.
func (s *Store) load(ctx context.Context, qs []queue.Ref, into []*state, heads int) error {
	bounded, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	clear(into)
	for {
		var claimed []*state
		var others chan struct{}
		for i, q := range qs {
			if into[i] != nil {
				continue
			}
			st := s.states.byRef[q]
			switch {
			case st == nil:
				st = &state{ref: q}
				st.claim()
				s.states.add(st)
				claimed = append(claimed, st)
			case !st.loaded: // another caller reads it, or this one for an earlier element
				others = st.busy
				continue
			}
			st.pins++
			into[i] = st
		}
		s.mu.Unlock()
		var err error
		if len(claimed) > 0 {
			_, err = s.fetch(bounded, claimed, heads)
		}
		if err == nil && others != nil {
			err = wait(bounded, others)
		}
		s.mu.Lock()
		if err == nil && others != nil {
			continue
		}
		for _, st := range into {
			if st != nil {
				s.unpin(st, 1)
			}
		}
		if err != nil {
			s.mu.Unlock()
			return bound("load queues", err)
		}
		return nil
	}
}

// wait waits until c is closed. Nobody waits for another's claim while holding one of its own, so this ends.
func wait(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// bound turns the end of an operation's time into queue.ErrUnavailable.
func bound(op string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		err = queue.ErrUnavailable
	}
	return fmt.Errorf("%s: %w", op, err)
}

// nanos returns Unix seconds in nanoseconds, as far as they go.
func nanos(seconds int64) int64 {
	const most = math.MaxInt64 / int64(time.Second)
	switch {
	case seconds > most:
		return math.MaxInt64
	case seconds < -most:
		return math.MinInt64
	default:
		return seconds * int64(time.Second)
	}
}
