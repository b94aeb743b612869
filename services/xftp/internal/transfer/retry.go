package transfer

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/identity"
	"sotto/shared/xftp"
)

// Pauses before the second attempt, and at most. They grow by half each time.
const (
	firstPause = 500 * time.Millisecond
	mostPause  = 10 * time.Second
)

// How often something is tried at all. A relay that was reached before is probably started anew, or the line is away:
// the pauses add up to a quarter of a minute. One that was not has probably a wrong address.
//
// Spec: xftp.md 9.3
const (
	knownAttempts = 8
	firstAttempts = 3
)

// hurriedAttempts is how often it is tried when another relay would do as well: an old connection may have ended
// meanwhile.
const hurriedAttempts = 2

// retry runs do until it succeeds, fails for good, or has failed as often as attempts says then.
//
// Spec: xftp.md 9.3
func retry(
	ctx context.Context, attempts func() int, wait func(context.Context, time.Duration) error, do func() error,
) error {
	pause := firstPause
	for n := 1; ; n++ {
		err := do()
		if err == nil || ctx.Err() != nil || !temporary(err) || n >= attempts() {
			return err
		}
		// Clients that lost a relay together do not come back together.
		jitter := rand.N(pause / 2)
		if err := wait(ctx, pause-jitter); err != nil {
			return err
		}
		pause = min(pause*3/2, mostPause)
	}
}

// sleep waits, or returns early with the error of ctx.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answerTime is how long the answer to a command that was sent already is waited for after the transfer was stopped.
const answerTime = 2 * time.Second

// lingering returns a context that ends a while after ctx.
func lingering(ctx context.Context, while time.Duration) (context.Context, context.CancelFunc) {
	longer, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(while, func() { end(context.Cause(ctx)) })
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); end(nil) }
}

// final are failures of the connection or of a body that another attempt would not change.
var final = []error{
	client.ErrNoHost, client.ErrALPN, client.ErrVersion, client.ErrSession, client.ErrIdentity, client.ErrRefused,
	client.ErrMalformed, client.ErrTag, client.ErrDigest, client.ErrTooLarge, client.ErrSource, identity.ErrUnknownCA,
	identity.ErrChainLength, identity.ErrCertificate, identity.ErrVersion, identity.ErrIssuer, identity.ErrSignature,
	identity.ErrDates, identity.ErrUsage, identity.ErrKey,
}

// temporary reports whether a failure may pass: the loss of a connection, a timeout, a body that ended early. What a
// relay refuses it refuses for good, except that an upload was too slow or a session has ended.
//
// Spec: xftp.md 9.3
func temporary(err error) bool {
	if isLocal(err) {
		return false
	}
	for _, e := range final {
		if errors.Is(err, e) {
			return false
		}
	}
	if refusal, ok := errors.AsType[xftp.Error](err); ok {
		return refusal == xftp.ErrTimeout || refusal == xftp.ErrSession || refusal == xftp.ErrHandshake
	}
	return unreachable(err) || errors.Is(err, client.ErrSize)
}

// unreachable reports whether the relay did not answer, for whatever reason.
func unreachable(err error) bool {
	_, dial := errors.AsType[*client.DialError](err)
	_, lost := errors.AsType[*client.ConnError](err)
	return dial || lost || errors.Is(err, client.ErrNoHost)
}

// parallel runs do for the numbers below n, at most width at a time. The first error ends all, and is returned.
func parallel(ctx context.Context, n, width int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, width) {
		wg.Go(func() {
			for i := range next {
				if err := do(ctx, i); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return context.Cause(ctx)
}
