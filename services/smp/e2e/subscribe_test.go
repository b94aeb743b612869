package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// TestManySubscriptions is a client with thousands of queues that connects again: it sends full blocks of SUB without
// waiting, and all are answered. Some queues have messages, which follow.
//
// Spec: smp.md 12
func TestManySubscriptions(t *testing.T) {
	const queues, withMessage = 5000, 100
	r := startRelay(t, "SMP_NEW_RATE=0")
	for _, o := range []client.Options{speaking(smp.MinVersion), speaking(smp.MaxVersion)} {
		t.Run(fmt.Sprintf("version %d", o.Versions.Max), func(t *testing.T) {
			ctx := bounded(t)
			o.EventBuffer = 2 * withMessage
			all := createMany(ctx, t, dial(t, r, o), queues)
			sender := dial(t, r, o)
			for i := range withMessage {
				q := all[i*len(all)/withMessage]
				must(t, "SEND", sender.Send(ctx, q.SenderID, noKey, false, q.RecipientID))
			}
			c := dial(t, r, o)
			began := time.Now()
			each, err := c.SubscribeAll(ctx, all)
			must(t, "SUB", err)
			took := time.Since(began)
			for i, err := range each {
				must(t, fmt.Sprintf("SUB of queue %d", i), err)
			}
			takeAll(ctx, t, c, all, withMessage)
			t.Logf("%d queues subscribed in %v, %d messages received after %v", len(all), took.Round(time.Millisecond),
				withMessage, time.Since(began).Round(time.Millisecond))
		})
	}
}

// createMany makes queues of one recipient key.
func createMany(ctx context.Context, t *testing.T, c *client.Client, n int) []*client.Queue {
	t.Helper()
	k, dh := auth.NewEd25519(), auth.NewX25519()
	requests := make([]client.Request, n)
	for i := range requests {
		requests[i] = client.Request{Command: smp.NEW{AuthKey: k.Public(), DHKey: dh.Public()}, Key: k}
	}
	replies, err := c.DoAll(ctx, requests)
	must(t, "NEW", err)
	all := make([]*client.Queue, n)
	for i := range replies {
		must(t, "NEW", replies[i].Err)
		ids := replies[i].Response.(smp.IDS)
		all[i] = &client.Queue{RecipientID: ids.RecipientID, SenderID: ids.SenderID, Key: k, Secret: secret(t, ids.DHKey, dh)}
	}
	return all
}

// takeAll receives and acknowledges n messages, each of another queue and with that queue's id as its body.
func takeAll(ctx context.Context, t *testing.T, c *client.Client, all []*client.Queue, n int) {
	t.Helper()
	byID := make(map[string]*client.Queue, len(all))
	for _, q := range all {
		byID[string(q.RecipientID)] = q
	}
	seen := make(map[string]bool, n)
	for range n {
		e, err := nextEvent(ctx, c)
		must(t, "MSG", err)
		id := string(e.EntityID)
		msg, ok := e.Response.(smp.MSG)
		if !ok || byID[id] == nil || seen[id] {
			t.Fatalf("%s came, or a message again", e.Response.Tag())
		}
		seen[id] = true
		m, err := byID[id].Open(msg)
		must(t, "open", err)
		if string(m.Body) != id {
			t.Fatal("a message of another queue")
		}
		next, err := c.Acknowledge(ctx, byID[id], m.ID)
		must(t, "ACK", err)
		if next != nil {
			t.Fatal("a second message")
		}
	}
}

// secret agrees on the key that messages are encrypted with.
func secret(t *testing.T, relayKey key.Public, k auth.Key) [32]byte {
	t.Helper()
	s, err := box.DH(relayKey, k.ECDH())
	must(t, "DH", err)
	return s
}

// TestSubscribeWhileSending subscribes and sends at the same time, on two connections, again and again: the message is
// always delivered, whatever came first.
//
// Spec: smp.md 10.2
func TestSubscribeWhileSending(t *testing.T) {
	const trials = 400
	r := startRelay(t)
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		recipient, sender := dial(t, r, o), dial(t, r, o)
		all := createMany(ctx, t, recipient, trials)
		for i, q := range all {
			sent := make(chan error, 1)
			go func() { sent <- sender.Send(ctx, q.SenderID, noKey, false, q.RecipientID) }()
			must(t, "SUB", recipient.Subscribe(ctx, q))
			must(t, "SEND", <-sent)
			m, err := receiveMessage(ctx, recipient, q)
			must(t, fmt.Sprintf("trial %d", i), err)
			next, err := recipient.Acknowledge(ctx, q, m.ID)
			if next != nil || err != nil {
				t.Fatalf("trial %d: another message, or %v", i, err)
			}
		}
	})
}

// TestSubscribeAndSendInOneBlock does the same with both commands in one block, in either order.
//
// Spec: smp.md 10.2
func TestSubscribeAndSendInOneBlock(t *testing.T) {
	const trials = 200
	r := startRelay(t)
	eachVersion(t, func(t *testing.T, o client.Options) {
		ctx := bounded(t)
		c := dial(t, r, o)
		for i, q := range createMany(ctx, t, c, trials) {
			sub := client.Request{Command: smp.SUB{}, Entity: q.RecipientID, Key: q.Key}
			send := client.Request{Command: smp.SEND{Body: []byte("at the same time")}, Entity: q.SenderID}
			block := []client.Request{sub, send}
			if i%2 == 1 {
				block = []client.Request{send, sub}
			}
			replies, err := c.DoBlock(ctx, block)
			must(t, "block", err)
			for j := range replies {
				must(t, "answer", replies[j].Err)
			}
			m, err := receiveMessage(ctx, c, q)
			must(t, fmt.Sprintf("trial %d", i), err)
			next, err := c.Acknowledge(ctx, q, m.ID)
			if next != nil || err != nil {
				t.Fatalf("trial %d: another message, or %v", i, err)
			}
		}
	})
}

// TestTakeoverWhileSending lets two connections subscribe to a queue at the same time as a message is sent to it.
// Whoever is the subscriber in the end has the message.
//
// Spec: smp.md 10.3
func TestTakeoverWhileSending(t *testing.T) {
	const trials = 200
	r := startRelay(t, "SMP_END_INTERVAL=50ms")
	ctx := bounded(t)
	o := speaking(smp.MaxVersion)
	sender := dial(t, r, o)
	both := []*client.Client{dial(t, r, o), dial(t, r, o)}
	for i, q := range createMany(ctx, t, sender, trials) {
		done := make(chan error, 3)
		go func() { done <- sender.Send(ctx, q.SenderID, noKey, false, q.RecipientID) }()
		for _, c := range both {
			go func() { done <- c.Subscribe(ctx, q) }()
		}
		for range 3 {
			must(t, fmt.Sprintf("trial %d", i), <-done)
		}
		takeFromLast(ctx, t, both, q)
	}
}

// takeFromLast waits until the connection that has lost the subscription knows it, then takes the message from the
// other one.
func takeFromLast(ctx context.Context, t *testing.T, both []*client.Client, q *client.Queue) {
	t.Helper()
	var messages [2]*client.Message
	loser := -1
	take := func(i int, e client.Event) {
		switch response := e.Response.(type) {
		case smp.MSG:
			m, err := q.Open(response)
			must(t, "open", err)
			messages[i] = m
		case smp.END:
			loser = i
		default:
			t.Fatalf("%s came", response.Tag())
		}
	}
	for loser < 0 || messages[1-loser] == nil {
		select {
		case e := <-both[0].Events():
			take(0, e)
		case e := <-both[1].Events():
			take(1, e)
		case <-time.After(answerTime):
			t.Fatal("the subscriber has no message, or nobody was told of the end")
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
	next, err := both[1-loser].Acknowledge(ctx, q, messages[1-loser].ID)
	if next != nil || err != nil {
		t.Fatalf("another message, or %v", err)
	}
}
