package server_test

import (
	"bytes"
	"context"
	"slices"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// TestBlockThatDoesNotDecrypt: it is answered, and the keys of both directions go on as if it had been a good one.
// Spec: smp.md 5.1, 5.4
func TestBlockThatDoesNotDecrypt(t *testing.T) {
	for _, v := range []wire.Version{11, 16, 18} {
		r := smptest.Start(t, smptest.Options{})
		g := r.Greet(t, alpn)
		if err := g.Blocks.WriteHello(g.ClientHello(r, v).AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		send := g.Encrypt(t)
		var p wire.Packer
		p.Add(append([]byte{0, 0, 0}, "PING"...))
		for i, c := range []struct {
			spoil func(block []byte)
			want  string
		}{
			{func([]byte) {}, "PONG"},
			{func(b []byte) { b[0] ^= 1 }, "ERR BLOCK"},
			{func(b []byte) { b[len(b)-1] ^= 1 }, "ERR BLOCK"},
			{func([]byte) {}, "PONG"},
			{func(b []byte) { clear(b) }, "ERR BLOCK"},
			{func([]byte) {}, "PONG"},
		} {
			block := make([]byte, wire.BlockSize)
			if err := send.Seal(block, p.Payload()); err != nil {
				t.Fatal(err)
			}
			c.spoil(block)
			if _, err := g.Session.Conn.Write(block); err != nil {
				t.Fatal(err)
			}
			if got, err := smptest.FirstResponse(v, g.Read(t, false)); err != nil || got != c.want {
				t.Fatalf("version %d, block %d: %q %v, want %s", v, i, got, err, c.want)
			}
		}
	}
}

// TestChecklist63LongCorrelationIDs: an answer that no block has room for is left out, and its neighbours are sent.
// Spec: smp.md 5.2
func TestChecklist63LongCorrelationIDs(t *testing.T) {
	for _, v := range []wire.Version{6, 10, 18} {
		r := smptest.Start(t, smptest.Options{})
		alice := dial(t, r, smptest.At(v))
		q := alice.newPlainQueue(false)
		alice.want("OK", q.put([]byte("hello")))
		longest := bytes.Repeat([]byte{'c'}, 255)
		pong := ping()
		pong.CorrID = longest
		alice.want("PONG", pong)
		get := q.own(smp.GET{})
		get.CorrID = slices.Clone(longest)
		before, after := ping(), ping()
		alice.send(before, get, after)
		for _, want := range []*client.Request{before, after} {
			got, err := alice.next()
			if err != nil || !bytes.Equal(got.CorrID, want.CorrID) || string(got.Command) != "PONG" {
				t.Fatalf("version %d: %q %v", v, got.Command, err)
			}
		}
		alice.want("MSG", q.own(smp.GET{}))
		// As long as it may be.
		get = q.own(smp.GET{})
		get.CorrID = longest[:wire.MaxTransmission-16178-len(sessionID(v, alice))]
		alice.want("MSG", get)
	}
}

// sessionID is what version 6 has in each transmission.
func sessionID(v wire.Version, p *peer) []byte {
	if v > 6 {
		return nil
	}
	return wire.AppendStr(nil, p.conn.SessionID())
}

// blockingStore is a store where an operator has blocked all queues.
type blockingStore struct {
	server.Store
	blocked *queue.Blocking // nil: none
}

func (s *blockingStore) block(found queue.Lookup) queue.Lookup {
	for i, q := range found.Queues {
		if q != nil && s.blocked != nil {
			copied := *q
			copied.Status, copied.Blocking = queue.Blocked, *s.blocked
			found.Queues[i] = &copied
		}
	}
	return found
}

func (s *blockingStore) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.ByRecipient(ctx, ids, fresh)
	return s.block(found), err
}

func (s *blockingStore) BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	found, err := s.Store.BySender(ctx, ids, fresh)
	return s.block(found), err
}

// TestBlockedQueue: who can prove that a queue is theirs is told that it is blocked, in the words of the version.
// Spec: smp.md 7.5, 8.3
func TestBlockedQueue(t *testing.T) {
	for _, c := range []struct {
		version wire.Version
		how     queue.Blocking
		want    string
	}{
		{11, queue.Blocking{Reason: "spam"}, "ERR AUTH"},
		{12, queue.Blocking{Reason: "spam", HasNotice: true}, "ERR BLOCKED reason=spam"},
		{17, queue.Blocking{Reason: "content", HasNotice: true, NoticeTTL: 60}, "ERR BLOCKED reason=content"},
		{18, queue.Blocking{Reason: "content"}, "ERR BLOCKED reason=content"},
		{18, queue.Blocking{Reason: "spam", HasNotice: true}, "ERR BLOCKED reason=spam,notice={}"},
		{18, queue.Blocking{Reason: "spam", HasNotice: true, NoticeTTL: 86400}, `ERR BLOCKED reason=spam,notice={"ttl":86400}`},
	} {
		store := &blockingStore{Store: memstore.New(smptest.DefaultQuota)}
		r := smptest.Start(t, smptest.Options{Store: store})
		alice := dial(t, r, smptest.At(c.version))
		q, secured := alice.newPlainQueue(false), alice.newPlainQueue(false)
		k, wrong := auth.NewEd25519(), auth.NewEd25519()
		alice.want("OK", secured.own(smp.KEY{SenderKey: k.Public()}))
		store.blocked = &c.how
		for _, cmd := range []smp.Command{
			smp.SUB{}, smp.GET{}, smp.KEY{SenderKey: k.Public()}, smp.ACK{}, smp.QUE{}, smp.NDEL{}, smp.LDEL{},
		} {
			alice.want(c.want, q.own(cmd))
			alice.want("ERR AUTH", &client.Request{Command: cmd, Entity: q.recipient, Key: wrong})
		}
		alice.want(c.want, q.put([]byte("hello")))
		alice.want("ERR LARGE_MSG", q.put(make([]byte, smp.MaxBody(c.version)+1)))
		alice.want(c.want, &client.Request{Command: smp.SKEY{SenderKey: k.Public()}, Entity: q.sender, Key: k})
		alice.want("ERR AUTH", secured.put([]byte("unsigned")))
		alice.want("ERR AUTH", &client.Request{Command: smp.SEND{}, Entity: secured.sender, Key: wrong})
		alice.want(c.want, &client.Request{Command: smp.SEND{}, Entity: secured.sender, Key: k})
		alice.want("OK", q.own(smp.OFF{}))
		alice.want("OK", q.own(smp.DEL{}))
	}
}
