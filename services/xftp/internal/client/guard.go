package client

import (
	"context"
	"time"
)

// guard ends a request that does not move, or takes too long in all. The cause of its context is then [ErrTimeout].
type guard struct {
	patience time.Duration
	timer    *time.Timer
	cancel   context.CancelCauseFunc
	release  context.CancelFunc
}

// newGuard begins to guard a request, which has to use the context returned.
func newGuard(ctx context.Context, patience, limit time.Duration) (context.Context, *guard) {
	ctx, release := context.WithTimeoutCause(ctx, limit, ErrTimeout)
	ctx, cancel := context.WithCancelCause(ctx)
	g := &guard{patience: patience, cancel: cancel, release: release}
	g.timer = time.AfterFunc(patience, func() { cancel(ErrTimeout) })
	return ctx, g
}

// moved starts the time anew.
func (g *guard) moved() { g.timer.Reset(g.patience) }

// stop ends the request, if it has not ended. Whatever moves later changes nothing.
func (g *guard) stop() {
	g.timer.Stop()
	g.cancel(nil)
	g.release()
}
