package transfer

import (
	"context"
	"errors"
	"sync"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/description"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Deleted counts the replicas of chunks by what became of them.
type Deleted struct {
	Deleted int // now
	Gone    int // before: deleted or expired
	Failed  int // probably still there
}

// Delete deletes all chunks of a sender's description from their relays. It goes on when a relay fails; the error is
// that of one of those that did, a [*RelayError], or [ErrParty] or ctx's.
//
// Spec: xftp.md 8.3
func Delete(ctx context.Context, d *description.Description, o Options) (Deleted, error) {
	if d.Party != description.Sender {
		return Deleted{}, ErrParty
	}
	p := newPool(o.withDefaults())
	defer p.close()
	return remove(ctx, p, targets(d))
}

// target is a replica, and who asks the relay for something.
type target struct {
	relay *address.Server
	id    wire.EntityID
	key   auth.Key
}

// targets lists all replicas of a description.
func targets(d *description.Description) []target {
	var all []target
	for _, c := range d.Chunks {
		for i := range c.Replicas {
			r := &c.Replicas[i]
			all = append(all, target{&r.Server, r.ID, r.Key})
		}
	}
	return all
}

// remove deletes chunks.
func remove(ctx context.Context, p *pool, all []target) (Deleted, error) {
	return each(ctx, p, all, func(c *client.Client, t target) error { return c.Delete(ctx, t.id, t.key) })
}

// each runs a command for every target, whatever becomes of the others, except that a relay which could not be reached
// is not tried again. A target that the relay does not know counts as gone.
func each(ctx context.Context, p *pool, all []target, do func(*client.Client, target) error) (Deleted, error) {
	var mu sync.Mutex // guards what follows
	var count Deleted
	var failure error
	away := make(map[string]bool)
	given := func(relay string) bool {
		mu.Lock()
		defer mu.Unlock()
		return away[relay]
	}
	err := parallel(ctx, len(all), p.options.Connections, func(ctx context.Context, i int) error {
		var err error
		relay := relayName(all[i].relay)
		skip := given(relay)
		if !skip {
			err = p.try(ctx, all[i].relay, func(c *client.Client) error { return do(c, all[i]) })
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil && !skip:
			count.Deleted++
		case errors.Is(err, xftp.ErrAuth):
			count.Gone++
		case err != nil:
			failure, away[relay] = err, unreachable(err)
		}
		return nil
	})
	count.Failed = len(all) - count.Deleted - count.Gone
	if err == nil {
		err = failure
	}
	return count, err
}
