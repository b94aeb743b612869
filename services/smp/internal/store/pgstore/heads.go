package pgstore

import (
	"context"
	"time"

	"sotto/services/smp/internal/queue"
)

// patience is the time that one operation takes for waiting; its timer is made when it is needed first.
type patience struct {
	ctx    context.Context
	wait   time.Duration
	own    context.Context
	cancel context.CancelFunc
}

func (p *patience) context() context.Context {
	if p.own == nil {
		p.own, p.cancel = context.WithTimeout(p.ctx, p.wait)
	}
	return p.own
}

// waitFor waits until c is closed.
func (p *patience) waitFor(c <-chan struct{}) error {
	if err := wait(p.context(), c); err != nil {
		return bound("wait for queue", err)
	}
	return nil
}

func (p *patience) end() {
	if p.cancel != nil {
		p.cancel()
	}
}

// Heads returns the first entry of each queue.
func (s *Store) Heads(ctx context.Context, qs []queue.Ref, results []queue.Head) {
	sts := make([]*state, len(qs))
	if err := s.lockStates(ctx, qs, sts, headsFor(len(qs))); err != nil {
		failHeads(results[:len(qs)], err)
		return
	}
	for _, st := range sts {
		st.pins++
	}
	p := patience{ctx: ctx, wait: s.options.Wait}
	s.heads(&p, sts, results)
	for _, st := range sts {
		s.unpin(st, 1)
	}
	s.mu.Unlock()
	p.end()
}

// heads fills in the first entries of queues, reading those that are not in memory. A queue from which an entry is
// being removed is asked again after that, so that nobody is told of an empty queue before the next append will
// say WasEmpty. It is called with s.mu locked, and returns with it locked; the caller has pinned the states.
func (s *Store) heads(p *patience, sts []*state, results []queue.Head) {
	var settled []bool
	for {
		var busy chan struct{}
		var unread []*state
		var where []int
		for i, st := range sts {
			if settled != nil && settled[i] {
				continue
			}
			switch {
			case st.gone:
				results[i] = queue.Head{Err: queue.ErrNotFound}
			case st.stored == 0:
				results[i] = queue.Head{}
			case len(st.entries) > 0:
				results[i] = queue.Head{Message: st.entries[0].m}
			case st.busy != nil:
				busy = st.busy
				settled = unsettle(settled, len(sts), i)
				continue
			default:
				st.claim()
				unread, where = append(unread, st), append(where, i)
				settled = unsettle(settled, len(sts), i)
				continue
			}
			if settled != nil {
				settled[i] = true
			}
		}
		if busy == nil && len(unread) == 0 {
			return
		}
		s.mu.Unlock()
		var first []*queue.Message
		var err error
		if len(unread) > 0 {
			first, err = s.fetch(p.context(), unread, headsFor(len(unread)))
		}
		if err == nil && busy != nil {
			err = p.waitFor(busy)
		}
		s.mu.Lock()
		for i, at := range where {
			if first != nil && first[i] != nil {
				results[at], settled[at] = queue.Head{Message: first[i]}, true
			}
		}
		if err != nil {
			for i := range settled {
				if !settled[i] {
					results[i] = queue.Head{Err: err}
				}
			}
			return
		}
	}
}

// NonEmpty reports for each queue whether it has entries; a queue that does not exist has none.
//
// Spec: smp.md 9.4
func (s *Store) NonEmpty(ctx context.Context, qs []queue.Ref) ([]bool, error) {
	sts := make([]*state, len(qs))
	if err := s.lockStates(ctx, qs, sts, 0); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	has := make([]bool, len(qs))
	for i, st := range sts {
		has[i] = !st.gone && st.stored > 0
	}
	return has, nil
}

// Size returns the number of entries of the queue and its head without its body.
//
// Spec: smp.md 9.9
func (s *Store) Size(ctx context.Context, q queue.Ref) (int, *queue.Message, error) {
	var results [1]queue.Head
	s.Heads(ctx, []queue.Ref{q}, results[:])
	m := results[0].Message
	if results[0].Err != nil || m == nil {
		return 0, nil, results[0].Err
	}
	var sts [1]*state
	if err := s.lockStates(ctx, []queue.Ref{q}, sts[:], 1); err != nil {
		return 0, nil, err
	}
	n := sts[0].stored
	gone := sts[0].gone
	s.mu.Unlock()
	if gone {
		return 0, nil, queue.ErrNotFound
	}
	if n == 0 { // emptied between the two
		return 0, nil, nil
	}
	return n, &queue.Message{ID: m.ID, Time: m.Time, Notify: m.Notify, Quota: m.Quota}, nil
}
