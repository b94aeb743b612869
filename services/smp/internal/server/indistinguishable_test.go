package server_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// countingStore counts the lookups that a store with a cache would ask its database for. Nothing else may be used for
// a command that is refused.
type countingStore struct {
	server.Store
	lookups atomic.Int64
	cold    atomic.Pointer[queue.ID] // a queue that is in no cache
}

func (s *countingStore) count(ids []queue.ID, found queue.Lookup, fresh bool) {
	if cold := s.cold.Load(); cold != nil && slices.Contains(ids, *cold) {
		found.Cached[slices.Index(ids, *cold)] = false
	}
	if fresh || slices.Contains(found.Cached, false) {
		s.lookups.Add(1)
	}
}

func (s *countingStore) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.ByRecipient(ctx, ids, fresh)
	s.count(ids, found, fresh)
	return found, err
}

func (s *countingStore) BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.BySender(ctx, ids, fresh)
	s.count(ids, found, fresh)
	return found, err
}

func (s *countingStore) ByLink(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.ByLink(ctx, ids, fresh)
	s.count(ids, found, fresh)
	return found, err
}

// observed is all that a client learns of a refused command, without what it sent itself, and the work for it.
type observed struct {
	blocks, transmissions int
	response              string
	lookups               int64 // in the database
	verifications         int64
}

// observer sends commands and watches the relay.
type observer struct {
	*peer
	store         *countingStore
	verifications *atomic.Int64
}

func newObserver(t *testing.T, v wire.Version) *observer {
	t.Helper()
	o := &observer{store: &countingStore{Store: memstore.New(smptest.DefaultQuota)}}
	r := smptest.Start(t, smptest.Options{Store: o.store, Prepare: func(s *server.Server) { o.verifications = s.CountVerifications() }})
	o.peer = dialMute(t, r, smptest.At(v))
	return o
}

// ask hides that of peer, whose goroutine does not run here.
func (o *observer) ask(r *client.Request) smp.Response {
	o.t.Helper()
	o.send(r)
	block, err := o.conn.Receive()
	if err != nil {
		o.t.Fatal(err)
	}
	response, err := smp.ParseResponse(o.conn.Version(), block[0].Command)
	if err != nil {
		o.t.Fatal(err)
	}
	return response
}

// observe sends a command, with others in the same block, and PING after it to see how much arrives in between.
func (o *observer) observe(r *client.Request, others ...*client.Request) observed {
	o.t.Helper()
	lookups, verifications := o.store.lookups.Load(), o.verifications.Load()
	block := append([]*client.Request{r}, others...)
	for _, r := range block {
		r.CorrID = nil
	}
	o.send(block...)
	end := ping()
	o.send(end)
	var seen observed
	for {
		block, err := o.conn.Receive()
		if err != nil {
			o.t.Fatal(err)
		}
		if bytes.Equal(block[0].CorrID, end.CorrID) {
			break
		}
		seen.blocks++
		seen.transmissions += len(block)
		seen.response = string(block[0].Command)
		if !bytes.Equal(block[0].CorrID, r.CorrID) || !bytes.Equal(block[0].EntityID, r.Entity) {
			o.t.Fatal("the answer does not repeat the ids")
		}
	}
	seen.lookups, seen.verifications = o.store.lookups.Load()-lookups, o.verifications.Load()-verifications
	return seen
}

// newKnown makes a queue with a link, secured unless senderKey is none.
func (o *observer) newKnown(mode smp.QueueMode, own, senderKey auth.Key) *testQueue {
	o.t.Helper()
	dh := auth.NewX25519()
	ids, ok := o.ask(&client.Request{Command: smp.NEW{
		AuthKey: own.Public(), DHKey: dh.Public(), Queue: &smp.QueueRequest{Mode: mode},
	}, Key: own}).(smp.IDS)
	if !ok {
		o.t.Fatal("no queue was made")
	}
	q := &testQueue{recipient: bytes.Clone(ids.RecipientID), sender: bytes.Clone(ids.SenderID), key: own}
	id := queue.ID(q.sender)
	id[0] ^= 1
	q.link = id[:]
	if _, ok := o.ask(q.own(smp.LSET{LinkID: q.link, FixedData: []byte("fixed")})).(smp.OK); !ok {
		o.t.Fatal("no link")
	}
	if !senderKey.Public().IsZero() {
		if _, ok := o.ask(q.own(smp.KEY{SenderKey: senderKey.Public()})).(smp.OK); !ok {
			o.t.Fatal("not secured")
		}
	}
	return q
}

var keyKinds = map[string]func() auth.Key{
	"none": func() auth.Key { return auth.Key{} }, "Ed25519": auth.NewEd25519, "Ed448": auth.NewEd448, "X25519": auth.NewX25519,
}

// refusable are all commands that are for a queue.
func refusable(k key.Public) []smp.Command {
	dh := auth.NewX25519().Public()
	return []smp.Command{
		smp.SUB{},
		smp.KEY{SenderKey: k},
		smp.RKEY{Keys: []key.Public{k}},
		smp.GET{},
		smp.ACK{MessageID: make([]byte, 24)},
		smp.ACK{},
		smp.OFF{},
		smp.DEL{},
		smp.QUE{},
		smp.NKEY{NotifierKey: k, DHKey: dh},
		smp.NDEL{},
		smp.LSET{LinkID: make([]byte, 24)},
		smp.LDEL{},
		smp.SKEY{SenderKey: k},
		smp.SEND{Body: []byte("hello")},
		smp.SEND{Body: make([]byte, 16089-200)},
		smp.LKEY{SenderKey: k},
		smp.LGET{},
		smp.NSUB{},
	}
}

// TestChecklist37UnknownOrWrongKey: a client that does not have the key of a queue cannot tell whether there is such a queue, nor
// could it by the work that the relay does. Spec: smp.md 6.5
func TestChecklist37UnknownOrWrongKey(t *testing.T) {
	checked := 0
	for _, v := range []wire.Version{7, 10, 18} {
		o := newObserver(t, v)
		for ownKind, newOwn := range keyKinds {
			if ownKind == "none" {
				continue
			}
			for senderKind, newSender := range keyKinds {
				for _, mode := range []smp.QueueMode{smp.ModeMessaging, smp.ModeContact} {
					q := o.newKnown(mode, newOwn(), newSender())
					for provided, newKey := range keyKinds {
						k := newKey()
						for _, cmd := range refusable(k.Public()) {
							if isOpen(v, mode, senderKind == "none", cmd, provided == "none") {
								continue
							}
							name := fmt.Sprintf("version %d: queue of %s, secured with %s: %s by %s", v, ownKind, senderKind, cmd.Tag(), provided)
							checked += o.compare(t, name, q, cmd, k, provided)
						}
					}
				}
			}
		}
	}
	t.Logf("compared %d commands", checked)
}

// isOpen reports whether a queue does what anybody asks: take messages, or the first key, or show its link.
func isOpen(v wire.Version, mode smp.QueueMode, unsecured bool, cmd smp.Command, unsigned bool) bool {
	switch cmd.(type) {
	case smp.SEND:
		return unsecured && unsigned
	case smp.SKEY, smp.LKEY:
		return unsecured && mode == smp.ModeMessaging
	case smp.LGET:
		return mode == smp.ModeContact || (v < smp.VersionSenderSecure && unsecured) // below it queues have no mode
	}
	return false
}

// compare sends a command for the queue, and for one that there is not, with the same key.
func (o *observer) compare(t *testing.T, name string, q *testQueue, cmd smp.Command, k auth.Key, provided string) int {
	t.Helper()
	switch tag := cmd.Tag(); {
	case tag == "SEND", tag == "LGET" && provided == "none", tag != "LGET" && provided != "none":
	default:
		return 0 // refused for its credentials, before a queue is looked for
	}
	known := q.recipient
	switch cmd.Party() {
	case smp.Sender:
		known = q.sender
	case smp.Link:
		known = q.link
	}
	got := o.observe(&client.Request{Command: cmd, Entity: known, Key: k})
	if got.response != "ERR AUTH" {
		t.Fatalf("%s: %q", name, got.response)
	}
	unknown := slices.Clone(known)
	unknown[5] ^= 1
	if want := o.observe(&client.Request{Command: cmd, Entity: unknown, Key: k}); got != want {
		t.Errorf("%s: a known queue is %+v, an unknown one %+v", name, got, want)
	}
	wantVerifications := int64(1)
	if provided == "none" {
		wantVerifications = 0
	}
	if got.blocks != 1 || got.transmissions != 1 || got.verifications < wantVerifications {
		t.Errorf("%s: %+v", name, got)
	}
	return 1
}

// TestChecklist37UnknownOrWrongKeyInBlock: nor does it help to send other commands in the same block, whatever is known of their
// queues.
func TestUnknownOrWrongKeyInBlock(t *testing.T) {
	o := newObserver(t, smp.MaxVersion)
	q, own := o.newKnown(smp.ModeMessaging, auth.NewEd25519(), auth.Key{}), o.newKnown(smp.ModeMessaging, auth.NewEd25519(), auth.Key{})
	wrong := auth.NewEd25519()
	nobody := slices.Clone(q.recipient)
	nobody[0] ^= 1
	for name, others := range map[string][]*client.Request{
		"alone":            nil,
		"unknown":          {{Command: smp.SUB{}, Entity: nobody, Key: wrong}},
		"unknown sender":   {{Command: smp.SEND{}, Entity: nobody}},
		"own":              {own.own(smp.QUE{})},
		"own, and unknown": {own.own(smp.QUE{}), {Command: smp.SUB{}, Entity: nobody, Key: wrong}},
		"the same":         {{Command: smp.SUB{}, Entity: q.recipient, Key: wrong}},
		"own, refused":     {{Command: smp.SUB{}, Entity: own.recipient, Key: wrong}},
		"malformed":        {{Encoded: []byte("SUB "), Entity: nobody, Key: wrong}},
	} {
		for _, isCold := range []bool{false, true} {
			o.store.cold.Store(nil)
			if isCold {
				id := queue.ID(own.recipient)
				o.store.cold.Store(&id)
			}
			known := o.observe(&client.Request{Command: smp.SUB{}, Entity: q.recipient, Key: wrong}, others...)
			unknown := slices.Clone(q.recipient)
			unknown[23] ^= 1
			if got := o.observe(&client.Request{Command: smp.SUB{}, Entity: unknown, Key: wrong}, others...); got != known {
				t.Errorf("%s, others in no cache: %v: known %+v, unknown %+v", name, isCold, known, got)
			}
		}
	}
}
