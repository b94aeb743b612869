package server_test

import (
	"context"
	"math/rand/v2"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/key"
)

// jittery is a store that takes its time, before and after what it does, as a database would: races that memory is
// too fast for happen here.
type jittery struct{ server.Store }

// raceOptions are those of a relay to run races against.
func raceOptions(quota int) smptest.Options {
	return smptest.Options{Store: jittery{memstore.New(quota)}, Config: func(c *server.Config) {
		c.EndInterval = 2 * time.Millisecond // what connections lose, they are told at once
	}}
}

func jitter() {
	switch n := rand.IntN(16); {
	case n == 0:
		<-time.After(time.Duration(rand.IntN(6000)) * time.Microsecond)
	case n < 10:
		<-time.After(time.Duration(rand.IntN(50*n)) * time.Microsecond)
	}
}

func (s jittery) Append(ctx context.Context, in []queue.NewMessage, results []queue.Appended) {
	jitter()
	s.Store.Append(ctx, in, results)
	jitter()
}

func (s jittery) Acknowledge(ctx context.Context, in []queue.Acknowledgement, results []queue.Head) {
	jitter()
	s.Store.Acknowledge(ctx, in, results)
	jitter()
}

func (s jittery) Heads(ctx context.Context, qs []queue.Ref, results []queue.Head) {
	jitter()
	s.Store.Heads(ctx, qs, results)
	jitter()
}

func (s jittery) NonEmpty(ctx context.Context, qs []queue.Ref) ([]bool, error) {
	jitter()
	defer jitter()
	return s.Store.NonEmpty(ctx, qs)
}

func (s jittery) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	defer jitter()
	return s.Store.ByRecipient(ctx, ids, fresh)
}

func (s jittery) BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	defer jitter()
	return s.Store.BySender(ctx, ids, fresh)
}

func (s jittery) Secure(ctx context.Context, q queue.Ref, k key.Public) error {
	jitter()
	return s.Store.Secure(ctx, q, k)
}

func (s jittery) Delete(ctx context.Context, q queue.Ref) error {
	jitter()
	defer jitter()
	return s.Store.Delete(ctx, q)
}
