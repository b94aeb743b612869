package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// conversation is two parties that write to each other at the same time.
type conversation struct {
	version    wire.Version
	alice, bob *party
	ended      chan error // of each party
}

// keys are the algorithms of recipients and senders in each version, so that all are used.
func keys(v wire.Version) (recipient, sender func() auth.Key) {
	switch v {
	case smp.MinVersion:
		return auth.NewEd25519, auth.NewEd448
	case smp.VersionProxy:
		return auth.NewEd448, auth.NewX25519
	case smp.VersionBlockEncryption:
		return auth.NewX25519, auth.NewEd25519
	default:
		return auth.NewEd25519, auth.NewX25519
	}
}

// newConversation makes the queues for a conversation of n messages in each direction.
func newConversation(t *testing.T, r *relay.Relay, v wire.Version, n int) *conversation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c := dial(t, r, speaking(v))
	defer c.Close()
	side := func(from, to string) *party {
		recipient, sender := keys(v)
		q, err := c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Key: recipient()})
		must(t, "NEW", err)
		p := &party{server: server(t, r), options: speaking(v), queue: q, peer: q.SenderID, key: sender()}
		if v >= smp.VersionSenderSecure {
			must(t, "SKEY", c.SecureBySender(ctx, q.SenderID, p.key))
		} else {
			must(t, "KEY", c.Secure(ctx, q, p.key.Public()))
		}
		p.out = newLedger(fmt.Sprintf("version %d, %s to %s", v, from, to), rand.Uint64(), n, smp.MaxBody(v))
		return p
	}
	alice, bob := side("Alice", "Bob"), side("Bob", "Alice")
	// Each has made the queue that it writes to; the one it reads is the other's.
	alice.queue, bob.queue = bob.queue, alice.queue
	alice.in, bob.in = bob.out, alice.out
	return &conversation{version: v, alice: alice, bob: bob, ended: make(chan error, 2)}
}

// begin lets the parties talk.
func (c *conversation) begin(ctx context.Context) {
	for _, p := range []*party{c.alice, c.bob} {
		go func() { c.ended <- p.run(ctx) }()
	}
}

// progress returns how many messages have arrived, of how many.
func (c *conversation) progress() (arrived, total int) {
	return c.alice.in.progress() + c.bob.in.progress(), c.alice.in.total + c.bob.in.total
}

// finish waits for the parties, empties the queues and checks both directions.
func (c *conversation) finish(t *testing.T, r *relay.Relay, sum *counts) {
	t.Helper()
	for range 2 {
		if err := <-c.ended; err != nil {
			t.Errorf("version %d: %v", c.version, err)
		}
	}
	for _, p := range []*party{c.alice, c.bob} {
		p.drain(t, r)
		p.in.check(t, sum)
	}
}

// drain takes repetitions that are left in the queue, and nothing else.
func (p *party) drain(t *testing.T, r *relay.Relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c := dial(t, r, p.options)
	defer c.Close()
	for {
		m, err := c.Get(ctx, p.queue)
		must(t, "GET", err)
		if m == nil {
			return
		}
		if _, err := p.acknowledge(ctx, c, m); err != nil {
			t.Fatalf("ACK: %v", err)
		}
	}
}

// disturbed runs conversations and calls disturb n times, spread over their progress.
func disturbed(t *testing.T, r *relay.Relay, all []*conversation, n int, disturb func(i int)) {
	t.Helper()
	ctx := bounded(t)
	for _, c := range all {
		c.begin(ctx)
	}
	share := func() float64 {
		arrived, total := 0, 0
		for _, c := range all {
			a, of := c.progress()
			arrived, total = arrived+a, total+of
		}
		return float64(arrived) / float64(total)
	}
	for i := range n {
		due := float64(i+1) / float64(n+1)
		eventually(t, testTime, fmt.Sprintf("%.0f%% of the conversation", 100*due), func() bool {
			return share() >= due || ctx.Err() != nil
		})
		if ctx.Err() != nil {
			break
		}
		disturb(i)
	}
	var sum counts
	lost, refused := 0, int64(0)
	for _, c := range all {
		c.finish(t, r, &sum)
		lost += c.alice.lost + c.bob.lost
		refused += c.alice.refused.Load() + c.bob.refused.Load()
	}
	t.Logf("%d messages accepted with %d SENDs, %d received in %d deliveries, %d acknowledged; %d connections lost, %d commands put off",
		sum.accepted, sum.sends, sum.received, sum.deliveries, sum.acknowledged, lost, refused)
}

// TestConversation holds a conversation of 1,000 messages over four versions while the relay is killed again and
// again.
func TestConversation(t *testing.T) {
	r := startRelay(t)
	const perDirection = 125
	for _, v := range versions {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) {
			c := newConversation(t, r, v, perDirection)
			disturbed(t, r, []*conversation{c}, 3, func(int) {
				must(t, "kill", r.Kill())
				start(t, r)
			})
		})
	}
}

// TestConversationAcrossVersions lets one end be as old as can be and the other the newest.
func TestConversationAcrossVersions(t *testing.T) {
	r := startRelay(t)
	c := newConversation(t, r, smp.MinVersion, 50)
	c.alice.options = speaking(smp.MaxVersion)
	for _, p := range []*party{c.alice, c.bob} {
		p.out.largest = smp.MaxBody(smp.MaxVersion) // what both may send
	}
	disturbed(t, r, []*conversation{c}, 1, func(int) {
		must(t, "kill", r.Kill())
		start(t, r)
	})
}

// pairs makes conversations of several versions that go on at the same time.
func pairs(t *testing.T, r *relay.Relay, n, perDirection int) []*conversation {
	t.Helper()
	all := make([]*conversation, n)
	for i := range all {
		all[i] = newConversation(t, r, versions[i%len(versions)], perDirection)
	}
	return all
}

// TestManyConversations kills the relay while many parties are in the middle of something.
func TestManyConversations(t *testing.T) {
	r := startRelay(t)
	disturbed(t, r, pairs(t, r, 16, 40), 4, func(int) {
		must(t, "kill", r.Kill())
		start(t, r)
	})
}

// receiveMessage waits for the next message of a queue on a connection that is subscribed to it.
func receiveMessage(ctx context.Context, c *client.Client, q *client.Queue) (*client.Message, error) {
	e, err := nextEvent(ctx, c)
	if err != nil {
		return nil, err
	}
	msg, ok := e.Response.(smp.MSG)
	if !ok || string(e.EntityID) != string(q.RecipientID) {
		return nil, errors.New("another event than a message of the queue")
	}
	return q.Open(msg)
}

// errQuiet: nothing came.
var errQuiet = errors.New("no event in time")

// nextEvent waits for what the relay sends without being asked.
func nextEvent(ctx context.Context, c *client.Client) (client.Event, error) {
	select {
	case e, ok := <-c.Events():
		if !ok {
			return e, c.Err()
		}
		return e, e.Err
	case <-time.After(answerTime):
		return client.Event{}, errQuiet
	case <-ctx.Done():
		return client.Event{}, ctx.Err()
	}
}
