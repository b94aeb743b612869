package server_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/auth"
	"sotto/shared/smp"
)

var spam = queue.Blocking{Reason: "spam"}

// lateStore does something between the look-up of a SUB and the subscription.
type lateStore struct {
	server.Store
	mu    sync.Mutex
	after func() // once
}

func (s *lateStore) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.ByRecipient(ctx, ids, fresh)
	s.mu.Lock()
	after := s.after
	s.after = nil
	s.mu.Unlock()
	if after != nil {
		after()
	}
	return found, err
}

func (s *lateStore) then(after func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = after
}

// TestBlockBeforeSubscription: a SUB that was authorised before the queue was blocked does not subscribe to it after that,
// for nobody would tell it; others in its block do.
func TestBlockBeforeSubscription(t *testing.T) {
	store := &lateStore{Store: memstore.New(smptest.DefaultQuota)}
	r := smptest.Start(t, smptest.Options{Store: store})
	p := dial(t, r, smptest.At(18))
	q, other := p.newPlainQueue(false), p.newPlainQueue(false)
	p.want("OK", q.put([]byte("stays")))
	store.then(func() {
		if err := r.Server.Block(t.Context(), server.SenderID, q.sender, spam); err != nil {
			t.Error(err)
		}
	})
	second := other.own(smp.SUB{})
	p.want("ERR BLOCKED reason=spam", q.own(smp.SUB{}), second)
	if answer, err := p.next(); err != nil || string(answer.CorrID) != string(second.CorrID) || string(answer.Command) != "SOK 0" {
		t.Fatalf("the other queue: %q, %v", answer.Command, err)
	}
	if n := r.Server.Subscriptions(); n != 1 {
		t.Fatalf("%d subscriptions", n)
	}
	p.want("PONG", ping())
	if len(p.kept) > 0 {
		t.Fatalf("%q arrived", p.kept[0].Command)
	}
}

// TestBlockWhileSubscribing: whatever comes first, a client that subscribes to a queue which is being blocked learns it, by
// the answer or after it.
func TestBlockWhileSubscribing(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p := dial(t, r, smptest.At(18))
	for range 200 {
		q := p.newPlainQueue(false)
		blocked := make(chan error, 1)
		go func() { blocked <- r.Server.Block(context.Background(), server.AnyID, q.sender, spam) }()
		answer := responseText(p.ask(q.own(smp.SUB{})))
		if err := <-blocked; err != nil {
			t.Fatal(err)
		}
		p.want("PONG", ping())
		told := 0
		for _, e := range p.kept {
			if string(e.EntityID) == string(q.recipient) && string(e.Command) == "ERR BLOCKED reason=spam" {
				told++
			}
		}
		p.kept = nil
		switch {
		case answer == "SOK" && told == 1:
		case answer == "ERR BLOCKED reason=spam" && told <= 1:
		default:
			t.Fatalf("answer %s, told %d times", answer, told)
		}
	}
}

// TestModerate: what an operator may know and do, by either id.
func TestModerate(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p, ctx := dial(t, r, smptest.At(18)), t.Context()
	q := p.newQueue(smp.ModeContact, true, auth.NewEd25519())
	link := make([]byte, queue.IDSize)
	link[0] = 1
	p.want("OK", q.own(smp.LSET{LinkID: link}))
	p.want("NID", q.own(smp.NKEY{NotifierKey: auth.NewEd25519().Public(), DHKey: auth.NewX25519().Public()}))
	p.want("OK", q.put([]byte("hello")))
	for kind, id := range map[server.Kind][]byte{server.SenderID: q.sender, server.LinkID: link} {
		for _, kind := range []server.Kind{kind, server.AnyID} {
			s, err := r.Server.QueueStatus(ctx, kind, id)
			if err != nil || s.Mode != queue.ModeContact || s.Status != queue.Active || s.Secured || !s.HasLink || !s.HasNotifier ||
				!s.Subscribed || s.Entries != 1 || s.LastUsed.IsZero() {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		if err := r.Server.Block(ctx, kind, id, spam); err != nil {
			t.Fatal(err)
		}
		if s, err := r.Server.QueueStatus(ctx, kind, id); err != nil || s.Status != queue.Blocked || s.Blocking != spam {
			t.Fatalf("%+v, %v", s, err)
		}
		if err := r.Server.Unblock(ctx, kind, id); err != nil {
			t.Fatal(err)
		}
	}
	for kind, id := range map[server.Kind][]byte{server.LinkID: q.sender, server.SenderID: link, server.AnyID: q.recipient} {
		if _, err := r.Server.QueueStatus(ctx, kind, id); !errors.Is(err, queue.ErrNotFound) {
			t.Fatalf("an id of another kind: %v", err)
		}
	}
	if err := r.Server.DeleteQueue(ctx, server.LinkID, link); err != nil {
		t.Fatal(err)
	}
	if n := r.Server.Subscriptions(); n != 0 {
		t.Fatalf("%d subscriptions to a queue that is gone", n)
	}
	for name, err := range map[string]error{
		"delete":  r.Server.DeleteQueue(ctx, server.LinkID, link),
		"block":   r.Server.Block(ctx, server.SenderID, q.sender, spam),
		"unblock": r.Server.Unblock(ctx, server.AnyID, q.sender),
		"short":   r.Server.Unblock(ctx, server.AnyID, q.sender[:7]),
	} {
		if !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestModerateAmbiguous: a client may choose the sender id of another queue as its link id; that does not turn the
// operator's hand against the other one, nor does it protect anybody.
func TestModerateAmbiguous(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p, ctx := dial(t, r, smptest.At(18)), t.Context()
	victim, other := p.newPlainQueue(false), p.newQueue(smp.ModeContact, false, auth.NewEd25519())
	p.want("OK", other.own(smp.LSET{LinkID: victim.sender}))
	if err := r.Server.Block(ctx, server.AnyID, victim.sender, spam); !errors.Is(err, server.ErrAmbiguous) {
		t.Fatal(err)
	}
	if err := r.Server.Block(ctx, server.LinkID, victim.sender, spam); err != nil {
		t.Fatal(err)
	}
	p.want("OK", victim.put(nil))
	p.want("ERR BLOCKED reason=spam", other.put(nil))
	if err := r.Server.Block(ctx, server.SenderID, victim.sender, spam); err != nil {
		t.Fatal(err)
	}
	p.want("ERR BLOCKED reason=spam", victim.put(nil))
	// One queue that has the same id twice is no question.
	own := p.newQueue(smp.ModeContact, false, auth.NewEd25519())
	p.want("OK", own.own(smp.LSET{LinkID: own.sender}))
	if err := r.Server.Block(ctx, server.AnyID, own.sender, spam); err != nil {
		t.Fatal(err)
	}
}

func TestBlockForWhat(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p := dial(t, r, smptest.At(18))
	q := p.newPlainQueue(false)
	for _, b := range []queue.Blocking{
		{}, {Reason: "fun"}, {Reason: "spam "}, {Reason: "spam", NoticeTTL: 5}, {Reason: "content", HasNotice: true, NoticeTTL: -1},
	} {
		if err := r.Server.Block(t.Context(), server.AnyID, q.sender, b); !errors.Is(err, server.ErrBlocking) {
			t.Errorf("%+v: %v", b, err)
		}
	}
	p.want("OK", q.put(nil))
}

// TestLinksAreBounded: link data is as large as messages, and what a client that does not read asks for waits within the
// same bounds.
func TestLinksAreBounded(t *testing.T) {
	r := smptest.Start(t, smptest.Options{Config: func(cfg *server.Config) { cfg.ConnectionBacklog = 1 << 20 }})
	p, mute := dial(t, r, smptest.At(18)), dialMute(t, r, smptest.At(18))
	q := p.newQueue(smp.ModeContact, false, auth.NewEd25519())
	link := make([]byte, queue.IDSize)
	p.want("OK", q.own(smp.LSET{LinkID: link, FixedData: make([]byte, 2048), UserData: make([]byte, 13000)}))
	const blocks, perBlock = 20, 100
	sent := make(chan error, 1)
	go func() {
		for range blocks {
			requests := make([]*client.Request, perBlock)
			for i := range requests {
				requests[i] = &client.Request{Command: smp.LGET{}, Entity: link}
			}
			if err := mute.conn.Send(requests...); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	most := 0
	for shown := 0; shown < blocks*perBlock; {
		_, _, waiting, _ := r.Server.Waiting()
		most = max(most, waiting)
		block, err := mute.conn.Receive()
		if err != nil {
			t.Fatal(err)
		}
		for _, answer := range block {
			if string(answer.Command[:4]) != "LNK " {
				t.Fatalf("%.20q", answer.Command)
			}
			shown++
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if most > 16+8 || most < 8 {
		t.Errorf("%d answers with link data waited at once", most)
	}
}
