package pgstore

import (
	"context"
	"errors"
	"fmt"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

// deleteQueue removes a queue, its link (by the foreign key) and its messages. It counts the queue and the messages.
const deleteQueue = `WITH q AS (DELETE FROM queues WHERE id = $1 RETURNING id),
	m AS (DELETE FROM messages WHERE queue_id = $1 RETURNING seq)
	SELECT (SELECT count(*) FROM q), (SELECT count(*) FROM m)`

// Delete removes the record, its link and its messages. Appends that have not begun fail with queue.ErrNotFound;
// those in flight are waited for, so that they leave no rows.
//
// Spec: smp.md 9.7
func (s *Store) Delete(ctx context.Context, q queue.Ref) error {
	p := patience{ctx: ctx, wait: s.options.Wait}
	defer p.end()
	st, err := s.claimAlone(&p, q)
	if err != nil {
		return fmt.Errorf("delete queue: %w", err)
	}
	err = s.deleteClaimed(&p, st)
	s.records.forget(q)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !errors.Is(err, queue.ErrNotFound) {
		st.gone, st.stale = false, true
	}
	s.release(st)
	s.unpin(st, 1)
	return err
}

// claimAlone claims the state of q, marks it as gone and waits until nothing is in flight to it.
func (s *Store) claimAlone(p *patience, q queue.Ref) (*state, error) {
	var sts [1]*state
	for {
		if err := s.lockStates(p.ctx, []queue.Ref{q}, sts[:], 0); err != nil {
			return nil, err
		}
		st := sts[0]
		if st.gone {
			s.mu.Unlock()
			return nil, queue.ErrNotFound
		}
		if busy := st.busy; busy != nil {
			s.mu.Unlock()
			if err := p.waitFor(busy); err != nil {
				return nil, err
			}
			continue
		}
		st.claim()
		st.pins++
		st.gone = true
		s.appenderOf(st).withdraw(func(a *appending) bool { return a.state == st }, queue.ErrNotFound)
		var landed chan struct{}
		if st.flying > 0 {
			landed = make(chan struct{})
			st.landed = landed
		}
		s.mu.Unlock()
		if landed == nil {
			return st, nil
		}
		if err := p.waitFor(landed); err != nil {
			s.mu.Lock()
			st.gone, st.landed = false, nil
			s.release(st)
			s.unpin(st, 1)
			s.mu.Unlock()
			return nil, err
		}
		return st, nil
	}
}

func (s *Store) deleteClaimed(p *patience, st *state) error {
	unsure := false // an earlier attempt may have deleted the queue
	return s.retry(p.ctx, "delete queue", func(ctx context.Context) error {
		var queues, messages int64
		err := s.pool.QueryRow(ctx, deleteQueue, int64(st.ref)).Scan(&queues, &messages)
		if err != nil {
			unsure = unsure || !pg.NotSent(err)
			return err
		}
		s.removed.Add(messages)
		if queues == 0 && !unsure {
			return queue.ErrNotFound
		}
		s.count.Add(-1)
		return nil
	})
}
