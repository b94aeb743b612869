package e2e

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/pg/pgtest"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// notifications is a queue whose messages somebody is to be told of.
type notifications struct {
	t     *testing.T
	ctx   context.Context
	url   string
	queue *client.Queue
	key   auth.Key // the notifier's
}

// newNotifications creates one, with credentials from NEW where there are, and otherwise from NKEY.
func newNotifications(ctx context.Context, t *testing.T, c *client.Client, url string) *notifications {
	t.Helper()
	n := &notifications{t: t, ctx: ctx, url: url, key: auth.NewEd25519()}
	o := client.QueueOptions{Mode: smp.ModeMessaging}
	if c.Version() >= smp.VersionNotifierCreds {
		o.NotifierKey = n.key.Public()
	}
	var err error
	n.queue, err = c.NewQueue(ctx, o)
	must(t, "NEW", err)
	if n.queue.NotifierID == nil {
		must(t, "NKEY", c.SetNotifier(ctx, n.queue, n.key.Public()))
	}
	return n
}

// send sends numbered messages.
func (n *notifications) send(c *client.Client, from, to int) {
	n.t.Helper()
	for i := from; i <= to; i++ {
		must(n.t, "SEND", c.Send(n.ctx, n.queue.SenderID, auth.Key{}, true, fmt.Append(nil, i)))
	}
}

// saved waits until this many notifications are in the database.
func (n *notifications) saved(want int64) {
	n.t.Helper()
	eventually(n.t, answerTime, fmt.Sprintf("%d notifications are saved", want), func() bool {
		return pgtest.Int(n.t, n.url, "SELECT count(*) FROM notifications") == want
	})
}

// read subscribes to the notifier, and reads this many notifications. It returns the ids of their messages.
func (n *notifications) read(c *client.Client, want int) []smp.MessageID {
	n.t.Helper()
	must(n.t, "NSUB", c.SubscribeNotifier(n.ctx, n.queue.NotifierID, n.key))
	var ids []smp.MessageID
	for len(ids) < want {
		e, err := nextEvent(n.ctx, c)
		must(n.t, "a notification", err)
		event, ok := e.Response.(smp.NMSG)
		if !ok || !bytes.Equal(e.EntityID, n.queue.NotifierID) {
			n.t.Fatalf("%s arrived instead of a notification", e.Response.Tag())
		}
		meta, err := n.queue.OpenNotification(event)
		must(n.t, "open", err)
		ids = append(ids, bytes.Clone(meta.MessageID))
	}
	return ids
}

// wantMessages reads the queue, whose messages must be those notified.
func (n *notifications) wantMessages(c *client.Client, ids []smp.MessageID) {
	n.t.Helper()
	must(n.t, "SUB", c.Subscribe(n.ctx, n.queue))
	m, err := receiveMessage(n.ctx, c, n.queue)
	must(n.t, "a message", err)
	for i, id := range ids {
		if m == nil || !bytes.Equal(m.ID, id) || string(m.Body) != fmt.Sprint(i+1) {
			n.t.Fatalf("message %d is not that of its notification", i+1)
		}
		m, err = c.Acknowledge(n.ctx, n.queue, m.ID)
		must(n.t, "ACK", err)
	}
	if m != nil {
		n.t.Fatal("a message that nobody was notified of")
	}
}

// TestNotificationsSurvive kills the relay, and stops it, while notifications wait that nobody was there to take.
func TestNotificationsSurvive(t *testing.T) {
	for _, v := range []wire.Version{smp.MinVersion, smp.MaxVersion} {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) {
			ctx, url := bounded(t), newDatabase(t)
			r := newRelay(t, url, "SMP_NOTIFICATION_INTERVAL=100ms")
			start(t, r)
			c := dial(t, r, speaking(v))
			n := newNotifications(ctx, t, c, url)
			n.send(c, 1, 3)
			n.saved(3)
			must(t, "kill", r.Kill())
			start(t, r)
			c = dial(t, r, speaking(v))
			n.send(c, 4, 5)
			c = restart(t, r, speaking(v)) // it saves what it has not saved yet
			ids := n.read(c, 5)
			n.saved(0)
			c = restart(t, r, speaking(v))
			n.send(c, 6, 6)
			ids = append(ids, n.read(c, 1)...)
			n.wantMessages(dial(t, r, speaking(v)), ids)
		})
	}
}

// TestNotificationsEndWithDelete: nothing is left of a notifier that is gone, also when the relay is killed.
func TestNotificationsEndWithDelete(t *testing.T) {
	ctx, url := bounded(t), newDatabase(t)
	r := newRelay(t, url, "SMP_NOTIFICATION_INTERVAL=100ms")
	start(t, r)
	c := dial(t, r, speaking(smp.MaxVersion))
	deleted, removed, kept := newNotifications(ctx, t, c, url), newNotifications(ctx, t, c, url), newNotifications(ctx, t, c, url)
	for _, n := range []*notifications{deleted, removed, kept} {
		n.send(c, 1, 2)
	}
	kept.saved(6)
	must(t, "DEL", c.Delete(ctx, deleted.queue))
	id := removed.queue.NotifierID
	must(t, "NDEL", c.DeleteNotifier(ctx, removed.queue))
	kept.saved(2)
	must(t, "kill", r.Kill())
	start(t, r)
	c = dial(t, r, speaking(smp.MaxVersion))
	if err := c.SubscribeNotifier(ctx, id, removed.key); err != smp.ErrAuth {
		t.Fatalf("NSUB of a notifier that is gone: %v", err)
	}
	kept.read(c, 2)
}

// TestNotificationsExpireAtStart: those that have become old while the relay was away are gone when it is back.
func TestNotificationsExpireAtStart(t *testing.T) {
	ctx, url := bounded(t), newDatabase(t)
	r := newRelay(t, url, "SMP_NOTIFICATION_INTERVAL=100ms", "SMP_NOTIFICATION_TTL=1s")
	start(t, r)
	c := dial(t, r, speaking(smp.MaxVersion))
	n := newNotifications(ctx, t, c, url)
	n.send(c, 1, 2)
	n.saved(2)
	must(t, "kill", r.Kill())
	pause(ctx, 2*time.Second)
	start(t, r)
	n.saved(0)
	c = dial(t, r, speaking(smp.MaxVersion))
	n.send(c, 3, 3)
	n.read(c, 1)
}
