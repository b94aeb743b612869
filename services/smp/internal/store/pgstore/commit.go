package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

const (
	// countRows counts which of these messages are stored.
	countRows = `SELECT count(*) FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS k (q, s, id)
		JOIN messages m ON m.queue_id = k.q AND m.seq = k.s AND m.msg_id = k.id`
	// deleteRows removes messages by queue and sequence number.
	deleteRows = `DELETE FROM messages m USING unnest($1::bigint[], $2::bigint[]) AS k (q, s)
		WHERE m.queue_id = k.q AND m.seq = k.s`
)

func (a *appender) run() {
	defer a.session.close()
	for a.take() {
		a.commit()
	}
}

// take waits for messages and makes them the group; false when the store is closing and nothing is left.
func (a *appender) take() bool {
	for {
		closing := a.store.closing.Load()
		a.store.mu.Lock()
		var bytes int64
		n := 0
		for n < len(a.waiting) && n < groupMessages && (n == 0 || bytes < groupBytes) {
			bytes += cost(a.waiting[n].entry.m)
			a.waiting[n].state.flying++
			n++
		}
		a.group = append(a.group[:0], a.waiting[:n]...)
		rest := copy(a.waiting, a.waiting[n:])
		clear(a.waiting[rest:])
		a.waiting = a.waiting[:rest]
		a.bytes -= bytes
		a.makeRoom()
		a.store.mu.Unlock()
		if n > 0 {
			return true
		}
		if closing {
			return false
		}
		<-a.wake
	}
}

// commit stores the group, however long that takes. While the group may have been committed nothing can follow it,
// because the state of its queues is not known; so it ends with an error only when the group is certainly not
// stored, or when the database belongs to another process, or when the store is closing and nobody waits.
func (a *appender) commit() {
	pace := attempts{store: a.store}
	for len(a.group) > 0 {
		err := a.attempt()
		if err == nil {
			a.store.health.Note(nil)
			if a.settle() {
				return
			}
			continue
		}
		a.session.closeIf(err)
		if !a.sent {
			a.prune()
		}
		if !pace.again(err) || (a.store.closing.Load() && a.abandoned()) {
			a.fail(err)
			return
		}
	}
}

// attempt stores the group, unless an earlier attempt has, and removes what is to be discarded.
func (a *appender) attempt() error {
	ctx, cancel := a.store.timeout()
	defer cancel()
	if err := a.session.open(ctx); err != nil {
		return err
	}
	if a.sent && !a.stored {
		if err := a.resolve(ctx); err != nil {
			return err
		}
	}
	if !a.sent {
		a.prune()
		if len(a.group) == 0 {
			return nil
		}
		a.sent = true
		begun := time.Now()
		err := a.copier.send(ctx, a.session.conn.PgConn(), a.group)
		a.store.options.Measure.Note(pg.Append, begun, err)
		var server *serverError
		if errors.As(err, &server) {
			a.sent = false // the server says that it has not stored the group
		}
		if err != nil {
			return err
		}
		a.stored = true
	}
	return a.removeDiscarded(ctx)
}

// resolve finds out whether a group whose commit was not answered is stored. The session in which that was is gone,
// so the answer is final.
func (a *appender) resolve(ctx context.Context) error {
	qs, seqs := a.keys(func(*appending) bool { return true })
	ids := make([][]byte, len(a.group))
	for i, p := range a.group {
		ids[i] = p.entry.m.ID[:]
	}
	var n int
	if err := a.session.conn.QueryRow(ctx, countRows, qs, seqs, ids).Scan(&n); err != nil {
		return err
	}
	a.sent, a.stored = n > 0, n > 0
	return nil
}

func (a *appender) removeDiscarded(ctx context.Context) error {
	qs, seqs := a.keys(func(p *appending) bool { return p.discard })
	if len(qs) == 0 {
		return nil
	}
	_, err := a.session.conn.Exec(ctx, deleteRows, qs, seqs)
	return err
}

func (a *appender) keys(of func(*appending) bool) (qs, seqs []int64) {
	for _, p := range a.group {
		if of(p) {
			qs, seqs = append(qs, int64(p.state.ref)), append(seqs, p.entry.seq)
		}
	}
	return qs, seqs
}

// prune drops the messages of a group that is certainly not stored whose callers do not wait any more.
func (a *appender) prune() {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	kept := a.group[:0]
	for _, p := range a.group {
		if p.call != nil {
			kept = append(kept, p)
			continue
		}
		a.land(p)
		p.rollBack(a.store)
	}
	clear(a.group[len(kept):])
	a.group = kept
}

// abandoned reports whether nobody waits for any message of the group.
func (a *appender) abandoned() bool {
	a.store.mu.Lock()
	defer a.store.mu.Unlock()
	for _, p := range a.group {
		if p.call != nil {
			return false
		}
	}
	return true
}

// land notes that p is in flight no more.
func (a *appender) land(p *appending) {
	st := p.state
	if st.flying--; st.flying == 0 && st.landed != nil {
		close(st.landed)
		st.landed = nil
	}
}

// settle counts the messages of a committed group and tells the callers. A caller that was told that the store is
// unavailable must not find its message stored, and nobody would be told of it: when there is one, settle marks
// the message and returns false, and the group is settled after it was removed.
func (a *appender) settle() bool {
	s := a.store
	s.mu.Lock()
	defer s.mu.Unlock()
	more := false
	for _, p := range a.group {
		if p.call == nil && !p.discard {
			p.discard, more = true, true
		}
	}
	if more {
		return false
	}
	for _, p := range a.group {
		a.land(p)
		if p.discard {
			p.rollBack(s)
			continue
		}
		r := queue.Appended{WasEmpty: s.states.land(p.state, p.entry)}
		if p.entry.m.Quota {
			r.Err = queue.ErrQuota
		}
		p.finish(r)
		s.unpin(p.state, 1)
	}
	a.empty()
	s.states.trim()
	return true
}

func (a *appender) empty() {
	clear(a.group)
	a.group = a.group[:0]
	a.sent, a.stored = false, false
}

// fail ends a group that cannot be stored.
func (a *appender) fail(err error) {
	s := a.store
	switch {
	case errors.Is(err, owner.ErrTaken):
		err = fmt.Errorf("append message: %w", errTaken)
	case pg.IsTransient(err):
		err = errWaited("append message")
	default:
		err = pg.Wrap("append message", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range a.group {
		p.state.stale = true
		a.land(p)
		p.rollBack(s)
		p.finish(queue.Appended{Err: err})
	}
	a.empty()
}
