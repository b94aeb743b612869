package pgstore

import (
	"context"
	"fmt"
	"sync"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

// call is one caller of Append or Acknowledge waiting for the writers. Guarded by Store.mu, but for done.
type call struct {
	left int           // elements without a result
	done chan struct{} // gets one value when left falls to 0
}

var calls = sync.Pool{New: func() any { return &call{done: make(chan struct{}, 1)} }}

// finish gives one element its result.
func (c *call) finish() {
	if c.left--; c.left == 0 {
		c.done <- struct{}{}
	}
}

// await waits until all elements have results. When ctx ends before, those that no writer has begun with are
// withdrawn; for the others the caller waits on, so that it learns what became of them.
func (s *Store) await(ctx context.Context, c *call) {
	select {
	case <-c.done:
	case <-ctx.Done():
		s.mu.Lock()
		for _, a := range s.appender {
			a.withdraw(func(p *appending) bool { return p.call == c }, ctx.Err())
		}
		s.remover.withdraw(func(r *removing) bool { return r.call == c }, ctx.Err())
		s.mu.Unlock()
		<-c.done
	}
}

// sweepEvery is how often the writers' lists are searched for elements that have waited too long.
const sweepEvery = 200 * time.Millisecond

// sweep gives up on elements that have waited for longer than Options.Wait. It does what a timer for each caller
// would do, at no cost for the callers.
func (s *Store) sweep() {
	for pg.Pause(s.ctx, sweepEvery) {
		now := time.Now()
		s.mu.Lock()
		for _, a := range s.appender {
			a.giveUp(now)
		}
		s.remover.giveUp(now)
		s.mu.Unlock()
	}
}

// errWaited is what an element gets that has waited too long.
func errWaited(op string) error { return fmt.Errorf("%s: %w", op, queue.ErrUnavailable) }
