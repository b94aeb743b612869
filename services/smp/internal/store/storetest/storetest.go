// Package storetest is the contract of server.Store in code: every store of the relay runs it.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"testing"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/shared/key"
)

// Subject is a store under test.
type Subject struct {
	Store server.Store
	// Reopen closes the store and opens it again, as a restart of the relay does. Nil: nothing survives, and the
	// tests of what survives are skipped.
	Reopen func(t *testing.T) server.Store
	// Rows counts the stored messages and markers, also those of queues that are gone. Nil: the store cannot tell.
	Rows func(t *testing.T) int
}

// Open opens an empty store whose queues hold quota messages and the marker. It arranges for the store to be
// closed when the test ends.
type Open func(t *testing.T, quota int) Subject

// Patience bounds every test that waits for something to happen.
const Patience = 60 * time.Second

// Run checks that the stores that open returns keep the contract of server.Store.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, group := range []struct {
		name  string
		cases []testCase
	}{
		{"queues", queueCases},
		{"count", countCases},
		{"messages", messageCases},
		{"quota", quotaCases},
		{"expiry", expiryCases},
		{"concurrent", concurrentCases},
		{"reopen", reopenCases},
		{"notifiers", notifierCases},
		{"notifications", notificationCases},
		{"links", linkCases},
		{"moderation", moderationCases},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.cases {
				t.Run(c.name, func(t *testing.T) { c.run(t, open) })
			}
		})
	}
}

type testCase struct {
	name string
	run  func(t *testing.T, open Open)
}

// fixture is a store with shorthands that fail the test where the plain methods return errors.
type fixture struct {
	server.Store
	Subject
	t   *testing.T
	ctx context.Context
}

func newFixture(t *testing.T, open Open, quota int) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	s := open(t, quota)
	return &fixture{Store: s.Store, Subject: s, t: t, ctx: ctx}
}

// reopen restarts the store, or skips the test when nothing survives that.
func (f *fixture) reopen() {
	f.t.Helper()
	if f.Reopen == nil {
		f.t.Skip("the store does not survive a restart")
	}
	f.Store = f.Reopen(f.t)
}

func randomID() queue.ID {
	var id queue.ID
	_, _ = rand.Read(id[:])
	return id
}

func randomMessageID() queue.MessageID {
	var id queue.MessageID
	_, _ = rand.Read(id[:])
	return id
}

// RandomKey returns a well formed public key of algorithm a that nobody has the private key of.
func RandomKey(t testing.TB, a key.Algorithm) key.Public {
	t.Helper()
	raw := make([]byte, 32)
	if a == key.Ed448 {
		raw = make([]byte, 57)
	}
	_, _ = rand.Read(raw)
	k, err := key.New(a, raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// NewQueue returns a record with random ids and keys, not stored yet.
func NewQueue(t testing.TB) *queue.Queue {
	t.Helper()
	q := &queue.Queue{
		RecipientID:   randomID(),
		SenderID:      randomID(),
		RecipientKeys: []key.Public{RandomKey(t, key.Ed25519)},
		Mode:          queue.ModeMessaging,
		Status:        queue.Active,
		UpdatedDay:    20000,
	}
	_, _ = rand.Read(q.DHSecret[:])
	return q
}

// NewMessage returns a message with a random id and this body, accepted now.
func NewMessage(body []byte) *queue.Message {
	return &queue.Message{ID: randomMessageID(), Time: time.Now().UTC(), Body: body}
}

// create stores a new queue.
func (f *fixture) create() *queue.Queue {
	f.t.Helper()
	q := NewQueue(f.t)
	if err := f.Create(f.ctx, q, nil); err != nil {
		f.t.Fatalf("create: %v", err)
	}
	return q
}

// append1 appends one message and returns its outcome.
func (f *fixture) append1(q queue.Ref, m *queue.Message) queue.Appended {
	results := make([]queue.Appended, 1)
	f.Append(f.ctx, []queue.NewMessage{{Queue: q, Message: m}}, results)
	return results[0]
}

// put appends one message with this body and fails the test unless that succeeds.
func (f *fixture) put(q queue.Ref, body string) *queue.Message {
	f.t.Helper()
	m := NewMessage([]byte(body))
	if r := f.append1(q, m); r.Err != nil {
		f.t.Fatalf("append: %v", r.Err)
	}
	return m
}

// putAt is put with the time at which the relay accepted the message, in Unix seconds.
func (f *fixture) putAt(q queue.Ref, at int64) *queue.Message {
	f.t.Helper()
	m := NewMessage([]byte("timed"))
	m.Time = time.Unix(at, 0).UTC()
	if r := f.append1(q, m); r.Err != nil {
		f.t.Fatalf("append: %v", r.Err)
	}
	return m
}

// head returns the head of q.
func (f *fixture) head(q queue.Ref) *queue.Message {
	f.t.Helper()
	results := make([]queue.Head, 1)
	f.Heads(f.ctx, []queue.Ref{q}, results)
	if results[0].Err != nil {
		f.t.Fatalf("heads: %v", results[0].Err)
	}
	return results[0].Message
}

// ack acknowledges id and returns the head that remains.
func (f *fixture) ack(q queue.Ref, id queue.MessageID) *queue.Message {
	f.t.Helper()
	results := make([]queue.Head, 1)
	f.Acknowledge(f.ctx, []queue.Acknowledgement{{Queue: q, ID: id}}, results)
	if results[0].Err != nil {
		f.t.Fatalf("acknowledge: %v", results[0].Err)
	}
	return results[0].Message
}

// drain acknowledges everything in q and returns it in order.
func (f *fixture) drain(q queue.Ref) []*queue.Message {
	f.t.Helper()
	var all []*queue.Message
	for m := f.head(q); m != nil; {
		all = append(all, m)
		next := f.ack(q, m.ID)
		if next != nil && next.ID == m.ID {
			f.t.Fatal("the acknowledged message is still the head")
		}
		m = next
	}
	return all
}

// size returns the number of entries of q.
func (f *fixture) size(q queue.Ref) int {
	f.t.Helper()
	n, _, err := f.Size(f.ctx, q)
	if err != nil {
		f.t.Fatalf("size: %v", err)
	}
	return n
}

// wantMessages fails the test unless got has the entries want, in their order.
func wantMessages(t *testing.T, got, want []*queue.Message) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d entries, want %d", len(got), len(want))
	}
	for i := range got {
		wantMessage(t, got[i], want[i])
	}
}

// wantMessage fails the test unless got is want in all its parts. Spec: smp.md 10.1, redelivery is byte-identical.
func wantMessage(t *testing.T, got, want *queue.Message) {
	t.Helper()
	switch {
	case got == nil || want == nil:
		if got != want {
			t.Fatalf("got an entry: %t, want one: %t", got != nil, want != nil)
		}
	case got.ID != want.ID:
		t.Fatal("another message than expected")
	case !got.Time.Equal(want.Time):
		t.Fatalf("time %v, want %v", got.Time, want.Time)
	case got.Notify != want.Notify || got.Quota != want.Quota:
		t.Fatalf("notify %t quota %t, want %t %t", got.Notify, got.Quota, want.Notify, want.Quota)
	case !bytes.Equal(got.Body, want.Body):
		t.Fatalf("body of %d bytes differs from the one of %d stored", len(got.Body), len(want.Body))
	}
}

// marker is the quota marker that m leaves when it is refused.
func marker(m *queue.Message) *queue.Message {
	return &queue.Message{ID: m.ID, Time: m.Time, Quota: true}
}
