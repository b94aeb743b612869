package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// secretDetail is what a store might quote in an error or a panic, and must not be told to anybody.
const secretDetail = "row of a queue"

// troubled is a store with trouble in one operation, when there is some.
type troubled struct {
	server.Store
	mu   sync.Mutex
	op   string
	with any // an error to return, or anything else to panic with
}

func (s *troubled) trouble(op string, with any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.op, s.with = op, with
}

func (s *troubled) at(op string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if op != s.op {
		return nil
	}
	if err, ok := s.with.(error); ok {
		return err
	}
	panic(s.with)
}

func (s *troubled) Create(ctx context.Context, q *queue.Queue, link *queue.Link) error {
	if err := s.at("create"); err != nil {
		return err
	}
	return s.Store.Create(ctx, q, link)
}

func (s *troubled) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	if err := s.at("by recipient"); err != nil {
		return queue.Lookup{}, err
	}
	return s.Store.ByRecipient(ctx, ids, fresh)
}

func (s *troubled) BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	if err := s.at("by sender"); err != nil {
		return queue.Lookup{}, err
	}
	return s.Store.BySender(ctx, ids, fresh)
}

func (s *troubled) Secure(ctx context.Context, q queue.Ref, k key.Public) error {
	if err := s.at("secure"); err != nil {
		return err
	}
	return s.Store.Secure(ctx, q, k)
}

func (s *troubled) Suspend(ctx context.Context, q queue.Ref) error {
	if err := s.at("suspend"); err != nil {
		return err
	}
	return s.Store.Suspend(ctx, q)
}

func (s *troubled) Delete(ctx context.Context, q queue.Ref) error {
	if err := s.at("delete"); err != nil {
		return err
	}
	return s.Store.Delete(ctx, q)
}

func (s *troubled) Append(ctx context.Context, in []queue.NewMessage, results []queue.Appended) {
	if err := s.at("append"); err != nil {
		for i := range results {
			results[i].Err = err
		}
		return
	}
	s.Store.Append(ctx, in, results)
}

func (s *troubled) Acknowledge(ctx context.Context, in []queue.Acknowledgement, results []queue.Head) {
	if err := s.at("acknowledge"); err != nil {
		for i := range results {
			results[i].Err = err
		}
		return
	}
	s.Store.Acknowledge(ctx, in, results)
}

func (s *troubled) Heads(ctx context.Context, qs []queue.Ref, results []queue.Head) {
	if err := s.at("heads"); err != nil {
		for i := range results {
			results[i].Err = err
		}
		return
	}
	s.Store.Heads(ctx, qs, results)
}

func (s *troubled) NonEmpty(ctx context.Context, qs []queue.Ref) ([]bool, error) {
	if err := s.at("non-empty"); err != nil {
		return nil, err
	}
	return s.Store.NonEmpty(ctx, qs)
}

func (s *troubled) Size(ctx context.Context, q queue.Ref) (int, *queue.Message, error) {
	if err := s.at("size"); err != nil {
		return 0, nil, err
	}
	return s.Store.Size(ctx, q)
}

func (s *troubled) ExpireAll(ctx context.Context, before int64) (int64, error) {
	if err := s.at("expire"); err != nil {
		return 0, err
	}
	return s.Store.ExpireAll(ctx, before)
}

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// troubledRelay is a relay in a bubble with such a store, and what it logs.
func troubledRelay(t *testing.T) (*smptest.Relay, *troubled, *lockedBuffer) {
	t.Helper()
	store, text := &troubled{Store: memstore.New(smptest.DefaultQuota)}, new(lockedBuffer)
	log := zerolog.New(text)
	r := smptest.Start(t, smptest.Options{Pipes: true, Store: store, Log: &log, Config: func(c *server.Config) {
		c.ExpiryInterval, c.MessageTTL = time.Hour, 24*time.Hour
	}})
	return r, store, text
}

// trouble is a command that needs an operation of the store, with others in its block.
type trouble struct {
	op   string
	cmd  *client.Request
	more []*client.Request
}

// troubles needs each operation that commands use, those that end a subscription last.
func troubles(q *testQueue, id smp.MessageID) []trouble {
	k := q.key.Public()
	return []trouble{
		{"acknowledge", q.own(smp.ACK{MessageID: id}), nil},
		{"create", &client.Request{Command: smp.NEW{AuthKey: k, DHKey: auth.NewX25519().Public()}, Key: q.key}, nil},
		{"by recipient", q.own(smp.SUB{}), nil},
		{"by sender", q.put([]byte("hello")), nil},
		{"secure", q.own(smp.KEY{SenderKey: k}), nil},
		{"suspend", q.own(smp.OFF{}), nil},
		{"delete", q.own(smp.DEL{}), nil},
		{"append", q.put([]byte("hello")), nil},
		{"size", q.own(smp.QUE{}), nil},
		{"heads", q.own(smp.SUB{}), nil},
		{"non-empty", q.own(smp.SUB{}), pings(4)},
	}
}

// delivered is a queue that p is subscribed to, with the transmission that brought its message.
func delivered(p *peer) (q *testQueue, pushed []byte, id smp.MessageID) {
	p.t.Helper()
	q = p.newPlainQueue(true)
	p.want("OK", q.put([]byte("waiting")))
	t, err := p.next()
	if err != nil {
		p.t.Fatal(err)
	}
	msg, err := smp.ParseResponse(p.conn.Version(), t.Command)
	if err != nil {
		p.t.Fatal(err)
	}
	return q, t.Command, msg.(smp.MSG).MessageID
}

// TestStoreTrouble: a store that cannot is answered as INTERNAL, which tells nothing, and nothing is lost by it.
func TestStoreTrouble(t *testing.T) {
	for _, cause := range []error{queue.ErrUnavailable, fmt.Errorf("%s: %w", secretDetail, queue.ErrUnavailable), errors.New(secretDetail)} {
		synctest.Test(t, func(t *testing.T) {
			r, store, text := troubledRelay(t)
			alice := dial(t, r, client.Options{})
			q, pushed, id := delivered(alice)
			for _, one := range troubles(q, id) {
				synctest.Wait()
				store.trouble(one.op, cause)
				if got := responseText(alice.ask(one.cmd, one.more...)); got != "ERR INTERNAL" {
					t.Errorf("%s: %s", one.op, got)
				}
				store.trouble("", nil)
			}
			synctest.Wait()
			alice.want("SOK", q.own(smp.SUB{}))
			alice.want("PONG", ping())
			if last := alice.kept[len(alice.kept)-1]; !bytes.Equal(last.Command, pushed) {
				t.Error("the message is not there any more")
			}
			alice.want("OK", q.own(smp.ACK{MessageID: id}))
			if strings.Contains(text.String(), secretDetail) {
				t.Error("the log quotes the store")
			}
		})
	}
}

// TestPanics: a bug that a command meets ends its connection, and nothing else. The log says where, not with what.
func TestPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, text := troubledRelay(t)
		other := dial(t, r, client.Options{})
		for i := range troubles(&testQueue{}, nil) {
			alice := dial(t, r, client.Options{})
			q, pushed, id := delivered(alice)
			one := troubles(q, id)[i]
			store.trouble(one.op, secretDetail)
			if got, err := alice.tryAsk(one.cmd, one.more...); err == nil {
				t.Errorf("%s: answered %s", one.op, responseText(got))
			}
			store.trouble("", nil)
			synctest.Wait()
			other.want("PONG", ping())
			if n := r.Server.Subscriptions(); n != 0 {
				t.Errorf("%s: %d subscriptions are left", one.op, n)
			}
			bob := dial(t, r, client.Options{})
			bob.want("SOK", q.own(smp.SUB{}))
			if again, err := bob.next(); err != nil || !bytes.Equal(again.Command, pushed) {
				t.Errorf("%s: the message is lost", one.op)
			}
			_ = bob.conn.Close()
		}
		if n := strings.Count(text.String(), "this is a bug"); n != len(troubles(&testQueue{}, nil)) {
			t.Errorf("%d reports in the log", n)
		}
		if strings.Contains(text.String(), secretDetail) || !strings.Contains(text.String(), "troubled") {
			t.Error("the log quotes the panic, or does not say where it was")
		}
	})
}

// TestPanicsInBackground: nor does a bug elsewhere end the relay: in the writer of a connection, in the sweep for old
// messages, and in one of the goroutines that verify a large block, which must not execute what was not verified.
func TestPanicsInBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, _ := troubledRelay(t)
		alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
		q := alice.newPlainQueue(false)
		alice.want("OK", q.put([]byte("hello")))

		store.trouble("heads", secretDetail)
		alice.send(append(pings(4), q.own(smp.SUB{}))...)
		synctest.Wait()
		store.trouble("", nil)
		if n := r.Server.Connections(); n != 1 {
			t.Errorf("the writer's bug left %d connections", n)
		}

		store.trouble("expire", secretDetail)
		<-time.After(2 * time.Hour)
		store.trouble("", nil)
		bob.want("PONG", ping())
	})
	synctest.Test(t, func(t *testing.T) {
		r := smptest.Start(t, smptest.Options{Pipes: true, Prepare: func(s *server.Server) { s.BreakVerification("break this") }})
		alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
		q := alice.newPlainQueue(false)
		block := pings(40)
		block[3], block[4] = q.own(smp.QUE{}), q.own(smp.OFF{})
		block[3].CorrID = []byte("break this")
		alice.send(block...)
		synctest.Wait()
		if n := r.Server.Connections(); n != 1 {
			t.Errorf("%d connections are left", n)
		}
		bob.want("OK", q.put([]byte("the queue is not off")))
	})
}
