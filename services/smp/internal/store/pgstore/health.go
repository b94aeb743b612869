package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

// Pauses between attempts while the database is away.
const (
	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// worthAWord is how long the database must not have answered to be called away. While a server stops or a single
// connection is replaced, answers and failures come mixed.
const worthAWord = 300 * time.Millisecond

// health tells the operator when the database goes away and when it is back, once each.
type health struct {
	log    zerolog.Logger
	failed atomic.Bool // the last thing heard was a failure

	mu    sync.Mutex
	since time.Time // of the first failure after the last answer
	away  bool      // the operator was told
}

// note records that the database answered (nil or a definite error), or that it did not.
func (h *health) note(err error) {
	failed := pg.IsUnavailable(err)
	if !failed && !h.failed.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch now := time.Now(); {
	case !failed:
		h.failed.Store(false)
		h.since = time.Time{}
		if h.away {
			h.away = false
			h.log.Info().Msg("database is back")
		}
	case h.since.IsZero() && !timedOut(err): // one that timed out has not answered for long already
		h.failed.Store(true)
		h.since = now
	case !h.away && now.Sub(h.since) >= worthAWord:
		h.failed.Store(true)
		h.away = true
		h.log.Error().Str("cause", pg.Safe(err)).Msg("database is away; waiting for it")
	}
}

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
		err := do(bounded)
		switch {
		case err == nil:
			s.health.note(nil)
			return nil
		case outcome(err):
			s.health.note(nil)
			return fmt.Errorf("%s: %w", op, err)
		case ctx.Err() != nil:
			return bound(op, ctx.Err())
		case errors.Is(err, errTaken):
			return fmt.Errorf("%s: %w", op, errTaken)
		case !pg.IsTransient(err):
			return pg.Wrap(op, err)
		}
		if pg.IsUnavailable(err) {
			s.pool.Reset() // its other idle connections are as dead as this one
		}
		if wait > 0 || bounded.Err() != nil {
			s.health.note(err)
		}
		if !pause(bounded, wait) {
			return fmt.Errorf("%s: %w", op, queue.ErrUnavailable)
		}
		wait = min(max(2*wait, firstPause), lastPause)
	}
}
