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

// Pauses between attempts while the database is away.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// errTaken is the reason for queue.ErrUnavailable after another process took the database over.
var errTaken = fmt.Errorf("%w: %w", owner.ErrTaken, queue.ErrUnavailable)

// retry runs do until it succeeds, gives an answer, fails for good, or Options.Wait has passed, when it returns
// queue.ErrUnavailable. do must be safe to repeat even when an earlier run of it has had its effect unseen.
func (s *Store) retry(ctx context.Context, op string, do func(context.Context) error) error {
	if err := s.usable(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	bounded, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	wait := time.Duration(0) // the first failure may only mean that an idle connection was closed meanwhile
	for {
		begun := time.Now()
		err := do(bounded)
		s.measure(op, begun, err)
		switch {
		case err == nil:
			s.health.Note(nil)
			return nil
		case outcome(err):
			s.health.Note(nil)
			return fmt.Errorf("%s: %w", op, err)
		case ctx.Err() != nil:
			return bound(op, ctx.Err())
		case errors.Is(err, owner.ErrTaken):
			return fmt.Errorf("%s: %w", op, errTaken)
		case !pg.IsTransient(err):
			s.health.Refused(op, err)
			return pg.Wrap(op, err)
		}
		if pg.IsUnavailable(err) {
			s.pool.Reset() // its other idle connections are as dead as this one
		}
		if wait > 0 || bounded.Err() != nil {
			s.health.Note(err)
		}
		if !pg.Pause(bounded, wait) {
			return fmt.Errorf("%s: %w", op, queue.ErrUnavailable)
		}
		wait = min(max(2*wait, firstPause), lastPause)
	}
}
