package limit

import (
	"context"
	"errors"
	"time"
)

// maxWait is for how long somebody who is too fast is held up, rather than turned away. Apps wait ten seconds for an answer.
//
// Spec: smp.md 12
const maxWait = 5 * time.Second

// ErrTooFast is returned to who has done something too often.
var ErrTooFast = errors.New("limit: too often")

// Lane is a connection's share of a rate: it draws from a bucket of its own and from that of its source. The zero Lane
// bounds nothing. Its methods may be called from any goroutine.
type Lane struct {
	rate   *Rate
	source Source
	full   time.Duration // of its own bucket; guarded by the rate's mu
}

// Lane returns the lane of a new connection from a source, which may be nobody.
func (r *Rate) Lane(s Source) Lane { return Lane{rate: r, source: s} }

// Wait takes n uses, and waits until it is their turn. It returns [ErrTooFast], and takes nothing, if that is more than
// five seconds away, or an error of ctx.
func (l *Lane) Wait(ctx context.Context, n int) error {
	if l.rate == nil || n == 0 {
		return nil
	}
	wait, ok := l.rate.reserve(l.source, &l.full, n, maxWait)
	switch {
	case !ok:
		return ErrTooFast
	case wait <= 0:
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
