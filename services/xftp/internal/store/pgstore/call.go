package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

// Pauses between attempts while the database is away.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// SQLSTATEs that the store knows.
const (
	undefinedTable = "42P01" // the period was dropped meanwhile
	diskFull       = "53100" // waiting does not help a client
)

// answers are the errors that answer a call rather than tell of trouble.
var answers = []error{
	chunk.ErrNotFound, chunk.ErrExists, chunk.ErrUploaded, chunk.ErrNoBody, chunk.ErrQuota,
	errLost, errShort, errPast,
}

// answer returns the answer that err is or stands for, or nil.
func answer(err error) error {
	if pg.Code(err) == undefinedTable {
		return chunk.ErrNotFound
	}
	for _, known := range answers {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}

// retry runs do until it succeeds, gives an answer, fails for good, or Options.Wait has passed, when it returns
// chunk.ErrUnavailable. do must be safe to repeat even when an earlier run of it has had its effect unseen.
func (s *Store) retry(ctx context.Context, op string, do func(context.Context) error) error {
	if err := s.usable(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	bounded, cancel := context.WithTimeout(ctx, s.options.Wait)
	defer cancel()
	pace := pace{store: s}
	for {
		begun := time.Now()
		err := do(bounded)
		s.measure(op, begun, err)
		if err, final := s.final(op, err); final {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", op, ctx.Err())
		}
		pace.failed(err, begun, bounded.Err() != nil)
		if !pace.wait(bounded) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: %w", op, ctx.Err())
			}
			return fmt.Errorf("%s: %w", op, chunk.ErrUnavailable)
		}
	}
}

// final tells whether the outcome err of an attempt is final, and what the caller is told then.
func (s *Store) final(op string, err error) (error, bool) {
	switch known := answer(err); {
	case err == nil:
		s.answered()
		return nil, true
	case known != nil:
		s.answered()
		return fmt.Errorf("%s: %w", op, known), true
	case errors.Is(err, owner.ErrTaken):
		return fmt.Errorf("%s: %w", op, errTaken), true
	case pg.Code(err) == diskFull || !pg.IsTransient(err) && !errors.Is(err, context.Canceled):
		s.health.Refused(op, err)
		return pg.Wrap(op, err), true
	default:
		return err, false
	}
}

// answered notes that the database does its work.
func (s *Store) answered() {
	s.heard.Store(time.Now().UnixNano())
	s.health.Note(nil)
}

// pace is the rhythm of attempts while the database is away.
type pace struct {
	store *Store
	next  time.Duration // the first failure may only mean that an idle connection was closed meanwhile
}

// failed notes an attempt that began then and failed with err; last says that there is no time for another. One that
// began before the database's last answer tells nothing new.
func (p *pace) failed(err error, begun time.Time, last bool) {
	if pg.IsUnavailable(err) {
		p.store.pool.Reset() // its other idle connections are as dead as this one
	}
	if (p.next > 0 || last) && begun.UnixNano() > p.store.heard.Load() {
		p.store.health.Note(err)
	}
}

// wait waits before the next attempt; false when ctx ended.
func (p *pace) wait(ctx context.Context) bool {
	ok := pg.Pause(ctx, p.next)
	p.next = min(max(2*p.next, firstPause), lastPause)
	return ok
}
