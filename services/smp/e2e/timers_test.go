package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// oldAndNew are the versions between which most encodings differ.
var oldAndNew = []wire.Version{smp.MinVersion, smp.MaxVersion}

// eachVersion runs a test with clients of the oldest and the newest version.
func eachVersion(t *testing.T, test func(t *testing.T, o client.Options)) {
	t.Helper()
	for _, v := range oldAndNew {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) { test(t, speaking(v)) })
	}
}

// newQueue creates a queue, which is not secured.
func newQueue(ctx context.Context, t *testing.T, c *client.Client, subscribe bool) *client.Queue {
	t.Helper()
	q, err := c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: subscribe})
	must(t, "NEW", err)
	return q
}

// size asks how many entries a queue has.
func size(ctx context.Context, t *testing.T, c *client.Client, q *client.Queue) int {
	t.Helper()
	b, err := c.Info(ctx, q)
	must(t, "QUE", err)
	info, err := smp.ParseQueueInfo(b)
	must(t, "INFO", err)
	return info.Size
}

// TestExpiry lets messages get old: they go by the sweep of all queues, with a SEND to their queue, and at a start.
//
// Spec: smp.md 8.5
func TestExpiry(t *testing.T) {
	const ttl = "SMP_MESSAGE_TTL=2s"
	ways := []struct {
		name     string
		settings []string
		restart  bool
	}{
		{"by the sweep", []string{ttl, "SMP_EXPIRY_INTERVAL=300ms", "SMP_EXPIRE_ON_SEND=false", "SMP_EXPIRE_ON_START=false"}, false},
		{"at the start", []string{ttl, "SMP_EXPIRY_INTERVAL=1h", "SMP_EXPIRE_ON_SEND=false"}, true},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			r := startRelay(t, way.settings...)
			eachVersion(t, func(t *testing.T, o client.Options) {
				ctx := bounded(t)
				c := dial(t, r, o)
				q := newQueue(ctx, t, c, false)
				for range 3 {
					must(t, "SEND", c.Send(ctx, q.SenderID, noKey, false, []byte("soon old")))
				}
				if n := size(ctx, t, c, q); n != 3 {
					t.Fatalf("%d messages after 3 SENDs", n)
				}
				eventually(t, answerTime, "the messages are gone", func() bool {
					if way.restart {
						c = restart(t, r, o)
					}
					return size(ctx, t, c, q) == 0
				})
				must(t, "SEND after it", c.Send(ctx, q.SenderID, noKey, false, []byte("new")))
			})
		})
	}
}

// TestExpiryOnSend lets each SEND take away what is old in its queue.
//
// Spec: smp.md 9.10
func TestExpiryOnSend(t *testing.T) {
	r := startRelay(t, "SMP_MESSAGE_TTL=2s", "SMP_EXPIRY_INTERVAL=1h", "SMP_EXPIRE_ON_START=false")
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		c := dial(t, r, o)
		q := newQueue(ctx, t, c, false)
		sent := 0
		eventually(t, answerTime, "a SEND has removed old messages", func() bool {
			must(t, "SEND", c.Send(ctx, q.SenderID, noKey, false, []byte("soon old")))
			sent++
			return size(ctx, t, c, q) < sent || !pause(ctx, 100*time.Millisecond)
		})
		t.Logf("after %d SENDs", sent)
	})
}

// TestInactiveConnections closes those that are silent and listen to nothing.
//
// Spec: smp.md 10.5
func TestInactiveConnections(t *testing.T) {
	r := startRelay(t, "SMP_INACTIVE_TTL=2s", "SMP_INACTIVE_INTERVAL=200ms")
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		listening, idle, busy := dial(t, r, o), dial(t, r, o), dial(t, r, o)
		newQueue(ctx, t, listening, true)
		newQueue(ctx, t, idle, false)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for closed := false; !closed; {
			select {
			case <-tick.C:
				must(t, "PING of a busy client", busy.Ping(ctx))
			case <-idle.Done():
				closed = true
			case <-ctx.Done():
				t.Fatal("the idle connection stays")
			}
		}
		must(t, "PING of a client that listens", listening.Ping(ctx))
	})
}

// TestLostSubscriptions tells a connection that another has subscribed, or has deleted the queue.
//
// Spec: smp.md 10.3
func TestLostSubscriptions(t *testing.T) {
	r := startRelay(t, "SMP_END_INTERVAL=200ms")
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		first, second := dial(t, r, o), dial(t, r, o)
		q := newQueue(ctx, t, first, true)
		must(t, "SEND", second.Send(ctx, q.SenderID, noKey, false, []byte("to the first")))
		m, err := receiveMessage(ctx, first, q)
		must(t, "MSG", err)

		must(t, "SUB", second.Subscribe(ctx, q))
		expectEvent(ctx, t, first, q, "END")
		if _, err := first.Acknowledge(ctx, q, m.ID); err != smp.ErrNoMsg {
			t.Errorf("ACK after END: %v", err)
		}
		again, err := receiveMessage(ctx, second, q)
		must(t, "MSG to the second", err)
		if string(again.ID) != string(m.ID) {
			t.Error("another message was delivered")
		}

		must(t, "DEL", first.Delete(ctx, q))
		want := "DELD"
		if o.Versions.Max < smp.VersionDeleted {
			want = "END"
		}
		expectEvent(ctx, t, second, q, want)
		if err := second.Send(ctx, q.SenderID, noKey, false, nil); err != smp.ErrAuth {
			t.Errorf("SEND to a deleted queue: %v", err)
		}
	})
}

// expectEvent waits for an event of the queue.
func expectEvent(ctx context.Context, t *testing.T, c *client.Client, q *client.Queue, tag string) {
	t.Helper()
	e, err := nextEvent(ctx, c)
	must(t, tag, err)
	if e.Response.Tag() != tag || string(e.EntityID) != string(q.RecipientID) || len(e.CorrID) != 0 {
		t.Fatalf("%s came instead of %s for the queue", e.Response.Tag(), tag)
	}
}

// TestQuota fills a queue, and finds it writable again only when it is completely empty, also after a restart.
//
// Spec: smp.md 8.4
func TestQuota(t *testing.T) {
	const quota = 4
	r := startRelay(t, fmt.Sprintf("SMP_QUEUE_QUOTA=%d", quota))
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		c := dial(t, r, o)
		q := newQueue(ctx, t, c, false)
		send := func() error { return c.Send(ctx, q.SenderID, noKey, false, []byte("one of many")) }
		for range quota {
			must(t, "SEND", send())
		}
		for range 3 {
			if err := send(); err != smp.ErrQuota {
				t.Fatalf("SEND to a full queue: %v", err)
			}
		}
		if n := size(ctx, t, c, q); n != quota+1 {
			t.Errorf("%d entries, not %d", n, quota+1)
		}
		c = restart(t, r, o)
		must(t, "SUB", c.Subscribe(ctx, q))
		m, err := receiveMessage(ctx, c, q)
		for range quota {
			must(t, "message", err)
			if m.Quota {
				t.Fatal("the marker came before the last message")
			}
			if err := send(); err != smp.ErrQuota {
				t.Fatalf("SEND to a queue that is not empty yet: %v", err)
			}
			m, err = c.Acknowledge(ctx, q, m.ID)
		}
		must(t, "marker", err)
		if m == nil || !m.Quota {
			t.Fatal("there is no marker")
		}
		m, err = c.Acknowledge(ctx, q, m.ID)
		if m != nil || err != nil {
			t.Fatalf("after the marker: %v, %v", m, err)
		}
		must(t, "SEND to the empty queue", send())
	})
}
