package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/auth"
	"sotto/shared/load"
	"sotto/shared/smp"
)

// burstBlock is how many commands a client sends in one block.
const burstBlock = 135

// measureBurst lets one connection subscribe to many queues, and another to their notifiers, as fast as it can: a client
// that comes back, and a notification server. Beside it is the store alone, which reads the same queues in the same blocks.
func measureBurst(ctx context.Context, s *settings, t *load.Table) (err error) {
	u, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.End()) }()
	template, err := templateQueue(ctx, u)
	if err != nil {
		return err
	}
	if _, err := u.Stop(stopTime); err != nil {
		return err
	}
	load.Progress("inserting %d queues", s.burst)
	seed, _, err := fill(ctx, u.Database.URL, s.burst)
	if err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	key := auth.NewEd25519()
	if err := fillNotifiers(ctx, u.Database.URL, key); err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	u.Database.Calm(ctx)
	b := burst{template: template, notifier: key}
	for n := range s.burst {
		b.queues = append(b.queues, recipientID(seed, n))
	}
	if err := b.bare(ctx, u.Database.URL); err != nil {
		return err
	}
	t.Heading("A burst of %d subscriptions on one connection", s.burst)
	return b.subscribe(ctx, u, t)
}

// fillNotifiers gives every queue a notifier, with the key of k and an id that follows from the recipient's.
func fillNotifiers(ctx context.Context, url string, k auth.Key) error {
	return load.Connected(ctx, url, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `INSERT INTO notifiers (notifier_id, queue_id, notifier_key, dh_secret)
			SELECT substring(sha256(recipient_id) for 24), id, $1, dh_secret FROM queues`, k.Public().AppendDER(nil))
		if err == nil {
			_, err = conn.Exec(ctx, "VACUUM ANALYZE notifiers")
		}
		return err
	})
}

// burst is what is subscribed.
type burst struct {
	template *client.Queue // whose key all queues have
	notifier auth.Key      // of all notifiers
	queues   [][]byte      // recipient ids

	bareQueues, bareNotifiers time.Duration // that the store alone has taken
}

// notifierID is the id that fillNotifiers gives to the notifier of a queue.
func notifierID(recipient []byte) []byte {
	hash := sha256.Sum256(recipient)
	return hash[:queue.IDSize]
}

// bare lets the store do by itself what it does for the subscriptions.
func (b *burst) bare(ctx context.Context, url string) error {
	store, err := pgstore.Open(ctx, pgstore.Options{URL: url})
	if err != nil {
		return err
	}
	defer store.Close()
	began := time.Now()
	err = b.blocks(func(recipients []queue.ID) error {
		found, err := store.ByRecipient(ctx, recipients, false)
		if err != nil {
			return err
		}
		refs := make([]queue.Ref, len(found.Queues))
		for i, q := range found.Queues {
			refs[i] = q.Ref
		}
		_, err = store.NonEmpty(ctx, refs)
		return err
	})
	if err != nil {
		return err
	}
	b.bareQueues, began = time.Since(began), time.Now()
	err = b.blocks(func(recipients []queue.ID) error {
		for i := range recipients {
			recipients[i] = queue.ID(notifierID(recipients[i][:]))
		}
		_, err := store.ByNotifier(ctx, recipients, true)
		return err
	})
	b.bareNotifiers = time.Since(began)
	return err
}

// blocks calls do with the ids of one block after the other.
func (b *burst) blocks(do func([]queue.ID) error) error {
	for from := 0; from < len(b.queues); from += burstBlock {
		var ids []queue.ID
		for _, id := range b.queues[from:min(from+burstBlock, len(b.queues))] {
			ids = append(ids, queue.ID(id))
		}
		if err := do(ids); err != nil {
			return err
		}
	}
	return nil
}

// subscribe lets clients do it, and compares.
func (b *burst) subscribe(ctx context.Context, u *load.Relay, t *load.Table) error {
	subs, nsubs := make([]client.Request, len(b.queues)), make([]client.Request, len(b.queues))
	for i, id := range b.queues {
		subs[i] = client.Request{Command: smp.SUB{}, Entity: id, Key: b.template.Key}
		nsubs[i] = client.Request{Command: smp.NSUB{}, Entity: notifierID(id), Key: b.notifier}
	}
	for _, one := range []struct {
		name     string
		requests []client.Request
		bare     time.Duration
	}{{"SUB", subs, b.bareQueues}, {"NSUB", nsubs, b.bareNotifiers}} {
		if u.Running() {
			if _, err := u.Stop(stopTime); err != nil { // the next one knows nothing of this one
				return err
			}
		}
		if err := u.Start(ctx); err != nil {
			return err
		}
		before, err := u.Usage()
		if err != nil {
			return err
		}
		took, used, err := doAll(ctx, u, one.requests)
		if err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		t.Add(one.name, "%.2f s, %.0f/s; the store alone %.2f s; ratio %.1f", took.Seconds(),
			float64(len(one.requests))/took.Seconds(), one.bare.Seconds(), took.Seconds()/one.bare.Seconds())
		t.Add("  processor time", "relay %.2f s, Postgres %.2f s, client %.2f s", used.Relay.Seconds(), used.Postgres.Seconds(),
			used.Clients.Seconds())
		after, err := u.Usage()
		if err != nil {
			return err
		}
		t.Add("  resident memory", "%s more", load.Megabytes(after.RSS-before.RSS))
	}
	return nil
}

// doAll sends requests on a connection of their own; all must succeed.
func doAll(ctx context.Context, u *load.Relay, requests []client.Request) (time.Duration, load.Used, error) {
	c, err := connect(ctx, u.Relay)
	if err != nil {
		return 0, load.Used{}, err
	}
	defer c.Close()
	meter := load.NewMeter(ctx, u)
	began := time.Now()
	replies, err := c.DoAll(ctx, requests)
	took := time.Since(began)
	for i := range replies {
		if err == nil {
			err = replies[i].Err
		}
		replies[i].Release()
	}
	return took, meter.Read(), err
}
