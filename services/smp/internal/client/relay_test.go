package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha3"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

func background(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// dial connects to a relay of this process.
func dial(t testing.TB, r *smptest.Relay, o client.Options) *client.Client {
	t.Helper()
	c := client.New(r.Dial(t, o))
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// message waits for the next event, which must be a message of q.
func message(t testing.TB, c *client.Client, q *client.Queue) *client.Message {
	t.Helper()
	select {
	case e := <-c.Events():
		defer e.Release()
		msg, ok := e.Response.(smp.MSG)
		if !ok || !bytes.Equal(e.EntityID, q.RecipientID) {
			t.Fatalf("got %v (%v), want a message", e.Response, e.Err)
		}
		m, err := q.Open(msg)
		if err != nil {
			t.Fatal(err)
		}
		return m
	case <-background(t).Done():
		t.Fatal("no message")
		return nil
	}
}

// TestConversation holds a conversation with the relay itself, in every form of keys and versions.
func TestConversation(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{})
	keys := []func() auth.Key{auth.NewEd25519, auth.NewX25519, auth.NewEd448}
	for _, v := range []wire.Version{6, 7, 8, 9, 10, 11, 14, 15, 16, 18} {
		for _, newKey := range keys {
			k := newKey()
			if v < smp.VersionAuth && k.ECDH() != nil {
				continue // the authenticator came with version 7
			}
			t.Run(fmt.Sprintf("%d/%v", v, k.Public().Algorithm()), func(t *testing.T) {
				converse(t, relay, smptest.At(v), k, newKey())
			})
		}
	}
	for name, o := range map[string]client.Options{
		"no ALPN": {ALPN: []string{}}, "no key": {NoKey: true}, "proxy": {ProxyServer: true},
	} {
		t.Run(name, func(t *testing.T) { converse(t, relay, o, auth.NewEd25519(), auth.NewEd25519()) })
	}
}

func converse(t *testing.T, relay *smptest.Relay, o client.Options, recipientKey, senderKey auth.Key) {
	ctx := background(t)
	alice, bob := dial(t, relay, o), dial(t, relay, o)
	q, err := alice.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: true, Key: recipientKey})
	check(t, "new queue", err)
	if alice.Version() >= smp.VersionSenderSecure {
		check(t, "secure by sender", bob.SecureBySender(ctx, q.SenderID, senderKey))
	}
	check(t, "secure", alice.Secure(ctx, q, senderKey.Public()))
	if err := alice.Secure(ctx, q, auth.NewEd25519().Public()); !errors.Is(err, smp.ErrAuth) {
		t.Errorf("another key: %v", err)
	}
	first, second := make([]byte, smp.MaxBody(bob.Version())), []byte("second")
	_, _ = rand.Read(first)
	check(t, "send", bob.Send(ctx, q.SenderID, senderKey, true, first))
	check(t, "send again", bob.Send(ctx, q.SenderID, senderKey, false, second))
	if err := bob.Send(ctx, q.SenderID, auth.Key{}, false, nil); !errors.Is(err, smp.ErrAuth) {
		t.Errorf("without the key: %v", err)
	}

	m := message(t, alice, q)
	if !bytes.Equal(m.Body, first) || !m.Notify {
		t.Error("the first message is another")
	}
	next, err := alice.Acknowledge(ctx, q, m.ID)
	check(t, "acknowledge", err)
	if next == nil || !bytes.Equal(next.Body, second) || next.Notify {
		t.Fatal("the second message is another")
	}
	m.Release()

	check(t, "subscribe on another connection", bob.Subscribe(ctx, q))
	again := message(t, bob, q)
	if !bytes.Equal(again.ID, next.ID) {
		t.Error("another message is delivered again")
	}
	last, err := bob.Acknowledge(ctx, q, again.ID)
	if check(t, "acknowledge", err); last != nil {
		t.Error("a third message")
	}
	finish(t, bob, dial(t, relay, o), q)
}

// finish ends an empty queue that bob subscribes to.
func finish(t *testing.T, bob, carol *client.Client, q *client.Queue) {
	ctx := background(t)
	if info, err := bob.Info(ctx, q); err != nil || !bytes.Contains(info, []byte(`"qiSize":0`)) {
		t.Errorf("info: %s, %v", info, err)
	}
	get, err := carol.Get(ctx, q)
	if check(t, "get", err); get != nil {
		t.Error("a message in an empty queue")
	}
	check(t, "suspend", bob.Suspend(ctx, q))
	check(t, "delete", bob.Delete(ctx, q))
	if err := bob.Delete(ctx, q); !errors.Is(err, smp.ErrAuth) {
		t.Errorf("delete again: %v", err)
	}
	check(t, "ping", bob.Ping(ctx))
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func TestSubscribeAllAtRelay(t *testing.T) {
	const queues = 300
	relay := smptest.Start(t, smptest.Options{})
	ctx := background(t)
	alice, bob := dial(t, relay, client.Options{}), dial(t, relay, client.Options{EventBuffer: queues})
	var all []*client.Queue
	for range queues {
		q, err := alice.NewQueue(ctx, client.QueueOptions{})
		check(t, "new queue", err)
		check(t, "send", alice.Send(ctx, q.SenderID, auth.Key{}, false, q.SenderID))
		all = append(all, q)
	}
	check(t, "delete", alice.Delete(ctx, all[200]))
	each, err := bob.SubscribeAll(ctx, all)
	check(t, "subscribe", err)
	for i, err := range each {
		if (err != nil) != (i == 200) {
			t.Errorf("queue %d: %v", i, err)
		}
	}
	byID := make(map[string]*client.Queue)
	for _, q := range all {
		byID[string(q.RecipientID)] = q
	}
	for range queues - 1 {
		e := <-bob.Events()
		q := byID[string(e.EntityID)]
		m, err := q.Open(e.Response.(smp.MSG))
		check(t, "open", err)
		if !bytes.Equal(m.Body, q.SenderID) {
			t.Error("a message of another queue")
		}
		e.Release()
		next, err := bob.Acknowledge(ctx, q, m.ID)
		if check(t, "acknowledge", err); next != nil {
			t.Error("another message")
		}
		m.Release()
	}
}

func TestLinkData(t *testing.T) {
	relay := smptest.Start(t, smptest.Options{})
	ctx := background(t)
	c := dial(t, relay, client.Options{})
	corrID := make(wire.CorrID, 24)
	_, _ = rand.Read(corrID)
	id := sha3.Sum384(corrID)
	o := client.QueueOptions{
		Mode: smp.ModeMessaging, CorrID: corrID,
		Link: &smp.LinkRequest{SenderID: id[:24], FixedData: []byte("fixed"), UserData: []byte("user")},
	}
	q, err := c.NewQueue(ctx, o)
	check(t, "new queue", err)
	if !bytes.Equal(q.SenderID, id[:24]) || q.LinkID == nil {
		t.Error("the queue has other ids")
	}
	check(t, "set link", c.SetLink(ctx, q, q.LinkID, []byte("fixed"), []byte("newer")))
	k := auth.NewX25519()
	l, err := c.SecureByLink(ctx, q.LinkID, k)
	check(t, "secure by link", err)
	wantLink(t, l, q, "newer")
	check(t, "send", c.Send(ctx, l.SenderID, k, false, []byte("hello")))
	if _, err := c.SecureByLink(ctx, q.LinkID, k); !errors.Is(err, smp.ErrAuth) {
		t.Errorf("a link that has ended: %v", err)
	}

	q, err = c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeContact})
	check(t, "new contact queue", err)
	check(t, "set link", c.SetLink(ctx, q, id[24:48], []byte("fixed"), []byte("user")))
	l, err = c.Link(ctx, id[24:48])
	check(t, "read link", err)
	wantLink(t, l, q, "user")
	check(t, "delete link", c.DeleteLink(ctx, q))
	if _, err := c.Link(ctx, id[24:48]); !errors.Is(err, smp.ErrAuth) {
		t.Errorf("a link that was deleted: %v", err)
	}
}

func wantLink(t *testing.T, l *client.Link, q *client.Queue, user string) {
	t.Helper()
	if !bytes.Equal(l.SenderID, q.SenderID) || string(l.FixedData) != "fixed" || string(l.UserData) != user {
		t.Errorf("link data %q %q, or another sender id", l.FixedData, l.UserData)
	}
}

// TestManyAtOnce has pairs of goroutines exchange messages over few connections, so that blocks are shared.
func TestManyAtOnce(t *testing.T) {
	const pairs, messages = 16, 30
	relay := smptest.Start(t, smptest.Options{})
	ctx := background(t)
	alice, bob := dial(t, relay, client.Options{}), dial(t, relay, client.Options{})
	inbox := make(map[string]chan client.Event)
	queues := make([]*client.Queue, pairs)
	for i := range queues {
		var err error
		queues[i], err = alice.NewQueue(ctx, client.QueueOptions{Subscribe: true})
		check(t, "new queue", err)
		inbox[string(queues[i].RecipientID)] = make(chan client.Event, messages)
	}
	go func() {
		for e := range alice.Events() {
			inbox[string(e.EntityID)] <- e
		}
	}()
	var wg sync.WaitGroup
	for n, q := range queues {
		wg.Go(func() {
			for i := range messages {
				if err := bob.Send(ctx, q.SenderID, auth.Key{}, false, fmt.Appendf(nil, "%d of %d", i, n)); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
		wg.Go(func() { receiveAll(ctx, t, alice, q, inbox[string(q.RecipientID)], n, messages) })
	}
	wg.Wait()
}

// receiveAll takes messages from the inbox, and from the answers to acknowledgements.
func receiveAll(ctx context.Context, t *testing.T, c *client.Client, q *client.Queue, inbox chan client.Event, n, messages int) {
	var m *client.Message
	for i := range messages {
		if m == nil {
			e := <-inbox
			var err error
			if m, err = q.Open(e.Response.(smp.MSG)); err != nil {
				t.Errorf("open: %v", err)
				return
			}
			e.Release()
		}
		if want := fmt.Sprintf("%d of %d", i, n); string(m.Body) != want {
			t.Errorf("got %q, want %q", []byte(m.Body), want)
		}
		next, err := c.Acknowledge(ctx, q, m.ID)
		if err != nil {
			t.Errorf("acknowledge: %v", err)
			return
		}
		m.Release()
		m = next
	}
}
