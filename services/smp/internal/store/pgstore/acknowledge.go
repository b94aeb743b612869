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

// groupRemovals bounds what one transaction removes.
const groupRemovals = 512

// removing is the removal of one queue's head. Its state is claimed. Guarded by Store.mu.
type removing struct {
	state    *state
	seq      int64
	call     *call // nil: its caller was told
	err      *error
	deadline time.Time
}

// remover removes acknowledged messages in groups, as appender stores them. A removal that was begun is carried
// out, however long that takes: repeating it does no harm.
type remover struct {
	store   *Store
	session session
	wake    chan struct{}

	// Guarded by Store.mu.
	waiting []*removing
	group   []*removing // changed by the remover's goroutine only
}

func newRemover(s *Store) *remover {
	return &remover{store: s, wake: make(chan struct{}, 1), session: session{store: s, key: removerKey}}
}

// Acknowledge removes each queue's head if it is the one named, then tells the head that the queue has now.
//
// Spec: smp.md 9.5
func (s *Store) Acknowledge(ctx context.Context, in []queue.Acknowledgement, results []queue.Head) {
	var (
		oneRef   [1]queue.Ref
		oneState [1]*state
		qs, sts  = oneRef[:0], oneState[:]
	)
	if len(in) != 1 {
		qs, sts = make([]queue.Ref, 0, len(in)), make([]*state, len(in))
	}
	for i := range in {
		qs = append(qs, in[i].Queue)
	}
	if err := s.lockStates(ctx, qs, sts, headsFor(len(in))); err != nil {
		failHeads(results[:len(in)], err)
		return
	}
	for _, st := range sts {
		st.pins++
	}
	bounded := patience{ctx: ctx, wait: s.options.Wait}
	errs := s.remove(&bounded, in, sts)
	s.heads(&bounded, sts, results)
	for i, err := range errs {
		if err != nil {
			results[i] = queue.Head{Err: err}
		}
	}
	for _, st := range sts {
		s.unpin(st, 1)
	}
	s.mu.Unlock()
	bounded.end()
}

func failHeads(results []queue.Head, err error) {
	for i := range results {
		results[i] = queue.Head{Err: err}
	}
}

// remove removes the heads that in names. An element that finds its queue claimed by another waits for that. It is
// called with s.mu locked, and returns with it locked; errs is nil when there were no errors.
func (s *Store) remove(p *patience, in []queue.Acknowledgement, sts []*state) (errs []error) {
	var settled []bool // made when a second round is needed
	for {
		c := calls.Get().(*call)
		var busy chan struct{}
		var unread []*state
		deadline := time.Now().Add(s.options.Wait)
		for i, st := range sts {
			if settled != nil && settled[i] {
				continue
			}
			switch {
			case st.gone || st.stored == 0:
			case st.busy != nil:
				busy = st.busy
				settled = unsettle(settled, len(in), i)
				continue
			case len(st.entries) == 0:
				st.claim()
				unread = append(unread, st)
				settled = unsettle(settled, len(in), i)
				continue
			case st.entries[0].m.ID == in[i].ID:
				if errs == nil {
					errs = make([]error, len(in))
				}
				c.left++
				s.remover.add(&removing{state: st, seq: st.entries[0].seq, call: c, err: &errs[i], deadline: deadline})
			}
			if settled != nil {
				settled[i] = true
			}
		}
		removals := c.left > 0
		if !removals && busy == nil && len(unread) == 0 {
			calls.Put(c)
			return errs
		}
		s.mu.Unlock()
		var err error
		if len(unread) > 0 {
			_, err = s.fetch(p.context(), unread, headsFor(len(unread)))
		}
		if removals {
			s.await(p.ctx, c)
		}
		calls.Put(c)
		if err == nil && busy != nil {
			err = p.waitFor(busy)
		}
		s.mu.Lock()
		if err != nil {
			return failUnsettled(errs, settled, len(in), err)
		}
		if settled == nil {
			return errs
		}
	}
}

// unsettle notes that element i needs another round; the elements before it do not.
func unsettle(settled []bool, n, i int) []bool {
	if settled == nil {
		settled = make([]bool, n)
		for j := range i {
			settled[j] = true
		}
	}
	return settled
}

func failUnsettled(errs []error, settled []bool, n int, err error) []error {
	if errs == nil {
		errs = make([]error, n)
	}
	for i := range settled {
		if !settled[i] {
			errs[i] = fmt.Errorf("acknowledge message: %w", err)
		}
	}
	return errs
}

func (r *remover) add(e *removing) {
	e.state.claim()
	e.state.pins++
	r.waiting = append(r.waiting, e)
	wake(r.wake)
}

// finish tells the caller, unless it was told.
func (e *removing) finish(err error) {
	if e.call != nil {
		*e.err = err
		c := e.call
		e.call, e.err = nil, nil
		c.finish()
	}
}

// withdraw ends the waiting of those removals that match. Called with Store.mu locked.
func (r *remover) withdraw(match func(*removing) bool, err error) {
	kept := r.waiting[:0]
	for _, e := range r.waiting {
		if !match(e) {
			kept = append(kept, e)
			continue
		}
		r.store.release(e.state)
		r.store.unpin(e.state, 1)
		e.finish(err)
	}
	clear(r.waiting[len(kept):])
	r.waiting = kept
}

// giveUp tells callers that have waited too long. Called with Store.mu locked.
func (r *remover) giveUp(now time.Time) {
	if len(r.waiting) > 0 && r.waiting[0].deadline.Before(now) {
		r.withdraw(func(e *removing) bool { return e.deadline.Before(now) }, errWaited("acknowledge message"))
	}
	for _, e := range r.group {
		if e.deadline.Before(now) {
			e.finish(errWaited("acknowledge message"))
		}
	}
}

func (r *remover) run() {
	defer r.session.close()
	for r.take() {
		r.commit()
	}
}

// take waits for removals and makes them the group; false when the store is closing and nothing is left.
func (r *remover) take() bool {
	for {
		closing := r.store.closing.Load()
		r.store.mu.Lock()
		n := min(len(r.waiting), groupRemovals)
		r.group = append(r.group[:0], r.waiting[:n]...)
		rest := copy(r.waiting, r.waiting[n:])
		clear(r.waiting[rest:])
		r.waiting = r.waiting[:rest]
		r.store.mu.Unlock()
		if n > 0 {
			return true
		}
		if closing {
			return false
		}
		<-r.wake
	}
}

func (r *remover) commit() {
	pace := attempts{store: r.store}
	for {
		err := r.attempt()
		if err == nil {
			r.store.health.Note(nil)
			r.settle(nil)
			return
		}
		r.session.closeIf(err)
		if !pace.again(err) || (r.store.closing.Load() && r.abandoned()) {
			switch {
			case errors.Is(err, owner.ErrTaken):
				err = fmt.Errorf("acknowledge message: %w", errTaken)
			case pg.IsTransient(err):
				err = errWaited("acknowledge message")
			default:
				err = pg.Wrap("acknowledge message", err)
			}
			r.settle(err)
			return
		}
	}
}

func (r *remover) attempt() error {
	ctx, cancel := r.store.timeout()
	defer cancel()
	if err := r.session.open(ctx); err != nil {
		return err
	}
	qs, seqs := make([]int64, len(r.group)), make([]int64, len(r.group))
	for i, e := range r.group {
		qs[i], seqs[i] = int64(e.state.ref), e.seq
	}
	begun := time.Now()
	_, err := r.session.conn.Exec(ctx, deleteRows, qs, seqs)
	r.store.options.Measure.Note(pg.Remove, begun, err)
	return err
}

func (r *remover) abandoned() bool {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	for _, e := range r.group {
		if e.call != nil {
			return false
		}
	}
	return true
}

// settle ends the group: the messages are gone, or err says why they are not.
func (r *remover) settle(err error) {
	s := r.store
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range r.group {
		if err == nil {
			s.states.removeHead(e.state, 1, e.seq)
		} else {
			e.state.stale = true
		}
		s.release(e.state)
		s.unpin(e.state, 1)
		e.finish(err)
	}
	if err == nil {
		s.removed.Add(int64(len(r.group)))
	}
	clear(r.group)
	r.group = r.group[:0]
}
