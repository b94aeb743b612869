package server_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// testNotifier is a queue's notifier.
type testNotifier struct {
	id     wire.EntityID
	key    auth.Key
	secret [box.KeySize]byte
}

// setNotifier gives q a notifier. It may be called by any goroutine.
func (p *peer) setNotifier(q *testQueue, k auth.Key) (*testNotifier, error) {
	dh := auth.NewX25519()
	got, err := p.tryAsk(q.own(smp.NKEY{NotifierKey: k.Public(), DHKey: dh.Public()}))
	if err != nil {
		return nil, err
	}
	nid, ok := got.(smp.NID)
	if !ok {
		return nil, fmt.Errorf("NKEY: %s", responseText(got))
	}
	n := &testNotifier{id: bytes.Clone(nid.NotifierID), key: k}
	n.secret, err = box.DH(nid.DHKey, dh.ECDH())
	return n, err
}

func (n *testNotifier) nsub() *client.Request {
	return &client.Request{Command: smp.NSUB{}, Entity: n.id, Key: n.key}
}

// putNotify is a SEND that asks for a notification.
func (q *testQueue) putNotify(body string) *client.Request {
	return &client.Request{Command: smp.SEND{Notify: true, Body: []byte(body)}, Entity: q.sender}
}

// ByNotifier counts as the other look-ups do.
func (s *countingStore) ByNotifier(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.ByNotifier(ctx, ids, fresh)
	s.count(ids, found, fresh)
	return found, err
}

// A client that does not have the key of a notifier cannot tell whether there is such a notifier. Spec: smp.md 6.5
func TestUnknownOrWrongNotifier(t *testing.T) {
	for _, v := range []wire.Version{7, 18} {
		o := newObserver(t, v)
		for ownKind, newOwn := range keyKinds {
			if ownKind == "none" {
				continue
			}
			q, own, dh := o.newKnown(smp.ModeMessaging, auth.NewEd25519(), auth.Key{}), newOwn(), auth.NewX25519()
			nid, ok := o.ask(q.own(smp.NKEY{NotifierKey: own.Public(), DHKey: dh.Public()})).(smp.NID)
			if !ok {
				t.Fatal("no notifier was made")
			}
			known := bytes.Clone(nid.NotifierID)
			for provided, newKey := range keyKinds {
				if provided == "none" {
					continue
				}
				name := fmt.Sprintf("version %d: a notifier of %s, by %s", v, ownKind, provided)
				o.compareNotifier(t, name, known, newKey())
			}
		}
	}
}

func (o *observer) compareNotifier(t *testing.T, name string, known wire.EntityID, k auth.Key) {
	t.Helper()
	unknown := slices.Clone(known)
	unknown[5] ^= 1
	for _, cmd := range []smp.Command{smp.NSUB{}, smp.SUB{}, smp.NDEL{}} {
		got := o.observe(&client.Request{Command: cmd, Entity: known, Key: k})
		want := o.observe(&client.Request{Command: cmd, Entity: unknown, Key: k})
		if got != want || got.response != "ERR AUTH" || got.verifications != 1 || got.lookups != 1 {
			t.Errorf("%s: %s: a known notifier is %+v, an unknown one %+v", name, cmd.Tag(), got, want)
		}
	}
}

// notified is what a peer was told of notifiers.
type notified struct {
	messages map[string]int // NMSG
	deleted  map[string]int // DELD
}

// until reads events until done.
func (n *notified) until(p *peer, done func() bool) error {
	for !done() {
		t, err := p.next()
		if err != nil {
			return err
		}
		response, err := smp.ParseResponse(p.conn.Version(), t.Command)
		if err != nil {
			return err
		}
		id := string(t.EntityID)
		switch response.(type) {
		case smp.NMSG:
			if n.deleted[id] > 0 {
				return fmt.Errorf("a notification after the end of the notifier")
			}
			n.messages[id]++
		case smp.DELD:
			n.deleted[id]++
		}
	}
	return nil
}

// TestNotifierRaces: while messages come, a queue gets one notifier after the other, each subscribed as it comes, and then
// it is deleted. Every one that was subscribed is told of its end once, the last is told of what comes, and nothing waits
// for those that are gone.
func TestNotifierRaces(t *testing.T) {
	t.Parallel()
	o := raceOptions(1 << 20)
	edit := o.Config
	o.Config = func(c *server.Config) { edit(c); c.NotificationInterval = 2 * time.Millisecond }
	r := smptest.Start(t, o)
	alice, nina, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{}), dial(t, r, client.Options{})
	for range trials() / 10 {
		notifierRace(t, alice, nina, bob)
	}
	if err := smptest.Eventually(func() bool { return r.Server.Notifications().Waiting == 0 }); err != nil {
		t.Fatalf("%d notifications wait for notifiers that are gone", r.Server.Notifications().Waiting)
	}
	if n := r.Server.Notifications().Subscriptions; n != 0 {
		t.Fatalf("%d notifiers that are gone are subscribed", n)
	}
}

func notifierRace(t *testing.T, alice, nina, bob *peer) {
	const replaced = 4
	q := alice.newPlainQueue(false)
	made := make(chan *testNotifier, replaced)
	stop := make(chan struct{})
	var racing, sending sync.WaitGroup
	sending.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if got, err := bob.tryAsk(q.putNotify("one of many")); err != nil || got.Tag() != "OK" {
				t.Errorf("SEND: %v %v", got, err)
				return
			}
		}
	})
	racing.Go(func() {
		defer close(made)
		for range replaced {
			n, err := alice.setNotifier(q, auth.NewEd25519())
			if err != nil {
				t.Error(err)
				return
			}
			made <- n
		}
	})
	subscribed := make(map[string]bool)
	var last *testNotifier
	for n := range made {
		got, err := nina.tryAsk(n.nsub())
		if err != nil {
			t.Fatal(err)
		}
		subscribed[string(n.id)] = got.Tag() == "SOK"
		last = n
	}
	racing.Wait()
	told := &notified{messages: make(map[string]int), deleted: make(map[string]int)}
	if !subscribed[string(last.id)] {
		t.Fatal("the present notifier was refused")
	}
	if err := told.until(nina, func() bool { return told.messages[string(last.id)] > 0 }); err != nil {
		t.Fatal(err)
	}
	close(stop)
	sending.Wait()
	alice.want("OK", q.own(smp.DEL{}))
	if err := told.until(nina, func() bool { return told.deleted[string(last.id)] > 0 }); err != nil {
		t.Fatal(err)
	}
	nina.want("PONG", ping())
	for id, was := range subscribed {
		if want := map[bool]int{true: 1}[was]; told.deleted[id] != want {
			t.Fatalf("subscribed %t, and told of the end %d times", was, told.deleted[id])
		}
	}
}

// A client that does not read what it is notified of stops nobody, and what it did not take goes to the next.
func TestMuteNotifier(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, smptest.Options{Pipes: true, Config: func(c *server.Config) { c.NotificationInterval = time.Millisecond }})
	alice, nina, next := dial(t, r, client.Options{}), dialMute(t, r, client.Options{}), dial(t, r, client.Options{})
	const many = 20 // queues
	var requests []*client.Request
	var queues []*testQueue
	var nsubs []*client.Request
	for range many {
		q := alice.newPlainQueue(false)
		n, err := alice.setNotifier(q, auth.NewEd25519())
		if err != nil {
			t.Fatal(err)
		}
		requests, queues, nsubs = append(requests, n.nsub()), append(queues, q), append(nsubs, n.nsub())
	}
	nina.send(requests...)
	if _, err := nina.conn.Receive(); err != nil {
		t.Fatal(err)
	}
	const each = 100
	for range each {
		for _, q := range queues {
			alice.want("OK", q.putNotify("hello"))
		}
	}
	// At most what is being written is gone: the pipe holds nothing.
	waiting := func() bool { return r.Server.Notifications().Waiting >= many*each-2*80 }
	if !waiting() {
		t.Fatalf("%d wait", r.Server.Notifications().Waiting)
	}
	if groups, replies, _, _ := r.Server.Waiting(); groups+replies > 0 {
		t.Fatalf("%d replies in %d groups wait in the connection", replies, groups)
	}
	next.send(nsubs...)
	for got := 0; got < many*each-2*80; {
		one, err := next.next()
		if err != nil {
			t.Fatalf("after %d: %v", got, err)
		}
		if bytes.HasPrefix(one.Command, []byte("NMSG ")) {
			got++
		}
	}
}

// taken is a store in which every notifier id is taken, for a while.
type taken struct {
	server.Store
	times atomic.Int64
}

func (s *taken) SetNotifier(ctx context.Context, q queue.Ref, n *queue.Notifier) (queue.Ended, error) {
	if s.times.Add(-1) >= 0 {
		return queue.Ended{}, queue.ErrExists
	}
	return s.Store.SetNotifier(ctx, q, n)
}

// Spec: smp.md 9.8, three attempts
func TestNotifierIDsTaken(t *testing.T) {
	store := &taken{Store: memstore.New(10)}
	r := smptest.Start(t, smptest.Options{Store: store})
	alice := dial(t, r, client.Options{})
	q := alice.newPlainQueue(false)
	nkey := q.own(smp.NKEY{NotifierKey: auth.NewEd25519().Public(), DHKey: auth.NewX25519().Public()})
	for _, c := range []struct {
		times int64
		want  string
	}{{2, "NID"}, {3, "ERR INTERNAL"}, {0, "NID"}} {
		store.times.Store(c.times)
		nkey.CorrID = nil
		alice.want(c.want, nkey)
	}
}
