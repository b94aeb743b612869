package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

// changeStripes is the number of chunks that can be changed at once, give or take.
const changeStripes = 256

func (s *Store) stripe(ref chunk.Ref) chan struct{} { return s.stripes[number(ref)%changeStripes] }

// change is something that must be known to have happened or not, because memory follows it.
type change struct {
	op string
	// do is one attempt. again says that an earlier one may have had its effect unseen.
	do func(ctx context.Context, again bool) error
	// done is told the outcome, once, when it is certain: nil, or an error that says that nothing happened.
	done func(err error)
}

// alone runs c while nothing else changes the chunk ref.
func (s *Store) alone(ctx context.Context, ref chunk.Ref, c change) error {
	stripe := s.stripe(ref)
	bounded, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	select {
	case stripe <- struct{}{}:
	case <-bounded.Done():
		err := chunk.ErrUnavailable
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		c.end(err)
		return fmt.Errorf("%s: %w", c.op, err)
	}
	told := c.done
	c.done = func(err error) {
		<-stripe
		if told != nil {
			told(err)
		}
	}
	return s.change(ctx, c)
}

func (c *change) end(err error) {
	if c.done != nil {
		c.done(err)
	}
}

// change runs c. The caller waits for at most Options.Wait and then gets chunk.ErrUnavailable; an attempt whose
// outcome is unknown by then goes on without it until the database has said what became of it.
func (s *Store) change(ctx context.Context, c change) error {
	if err := s.usable(); err != nil {
		c.end(err)
		return fmt.Errorf("%s: %w", c.op, err)
	}
	outcome := make(chan error, 1)
	if !s.spawn(func() {
		err := s.settle(c)
		c.end(err)
		outcome <- err
	}) {
		c.end(errClosed)
		return fmt.Errorf("%s: %w", c.op, errClosed)
	}
	timer := time.NewTimer(s.options.Wait)
	defer timer.Stop()
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", c.op, ctx.Err())
	case <-timer.C:
		return fmt.Errorf("%s: %w", c.op, chunk.ErrUnavailable)
	}
}

// spawn runs f in the background; false when the store is closed.
func (s *Store) spawn(f func()) bool {
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.closing.Load() {
		return false
	}
	s.work.Go(f)
	return true
}

// settle attempts c until its outcome is certain, or the store is closed.
func (s *Store) settle(c change) error {
	deadline := time.Now().Add(s.options.Wait)
	pace := pace{store: s}
	for again := false; ; {
		// An attempt that has begun is not cut off by Close: what it did would not be known.
		begun := time.Now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), s.options.Wait)
		err := c.do(ctx, again)
		cancel()
		s.measure(c.op, begun, err)
		if told, final := s.final(c.op, err); final && (!again || certain(err)) {
			return told
		}
		again = again || !harmless(err)
		late := time.Now().After(deadline)
		pace.failed(err, begun, late)
		if (late && !again) || !pace.wait(s.ctx) {
			return fmt.Errorf("%s: %w", c.op, chunk.ErrUnavailable)
		}
	}
}

// certain reports whether err says what became of all attempts, not of the last one alone.
func certain(err error) bool {
	return err == nil || answer(err) != nil || errors.Is(err, owner.ErrTaken)
}

// harmless reports whether the attempt that failed with err certainly had no effect.
func harmless(err error) bool {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		// The server has rolled back, unless it was the commit itself that an administrator interrupted.
		return !pg.IsUnavailable(err)
	}
	return pg.NotSent(err)
}
