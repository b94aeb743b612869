package pg

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"
)

// worthAWord is how long the database must not have answered to be called away. While a server stops or a single
// connection is replaced, answers and failures come mixed.
const worthAWord = 300 * time.Millisecond

// Health tells the operator when the database goes away and when it is back, once each.
type Health struct {
	log    zerolog.Logger
	failed atomic.Bool // the last thing heard was a failure

	mu    sync.Mutex
	since time.Time // of the first failure after the last answer
	away  bool      // the operator was told
	told  time.Time // when the operator was last told of a refusal
}

// refusalPause is the time from one report of a refusal to the next: a disk that is full refuses every operation.
const refusalPause = time.Minute

// NewHealth returns a Health that tells log.
func NewHealth(log zerolog.Logger) *Health { return &Health{log: log} }

// Note records that the database answered (nil or a definite error), or that it did not.
func (h *Health) Note(err error) {
	failed := IsUnavailable(err)
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
	case h.since.IsZero() && !TimedOut(err): // one that timed out has not answered for long already
		h.failed.Store(true)
		h.since = now
	case !h.away && now.Sub(h.since) >= worthAWord:
		h.failed.Store(true)
		h.away = true
		h.log.Error().Str("cause", Safe(err)).Msg("database is away; waiting for it")
	}
}

// Away reports whether the operator was told that the database is away, and not yet that it is back.
func (h *Health) Away() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.away
}

// Refused tells, at most once a minute, that the database answered an operation with an error that is no outcome of it and
// will not pass by itself: its disk is full, or its tables are damaged.
func (h *Health) Refused(op string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.told) >= refusalPause {
		h.told = now
		h.log.Error().Str("op", op).Str("cause", Safe(err)).Msg("the database refuses to work")
	}
}

// TimedOut reports whether err says that the server did not answer in time, rather than that it was not there.
func TimedOut(err error) bool {
	return pgconn.Timeout(err) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
