package server_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/services/xftp/internal/xftptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/xftp"
)

// countingStore counts lookups. Nothing else may be used for a command that is refused.
type countingStore struct {
	server.Store
	lookups, others atomic.Int64
}

func (s *countingStore) BySender(ctx context.Context, id chunk.ID) (*chunk.Chunk, error) {
	s.lookups.Add(1)
	return s.Store.BySender(ctx, id)
}

func (s *countingStore) ByRecipient(ctx context.Context, id chunk.ID) (*chunk.Chunk, key.Public, error) {
	s.lookups.Add(1)
	return s.Store.ByRecipient(ctx, id)
}

func (s *countingStore) Upload(ctx context.Context, c *chunk.Chunk) (server.Upload, error) {
	s.others.Add(1)
	return s.Store.Upload(ctx, c)
}

func (s *countingStore) Delete(ctx context.Context, ref chunk.Ref) error {
	s.others.Add(1)
	return s.Store.Delete(ctx, ref)
}

func (s *countingStore) AddRecipients(ctx context.Context, ref chunk.Ref, r []chunk.Recipient) error {
	s.others.Add(1)
	return s.Store.AddRecipients(ctx, ref, r)
}

func (s *countingStore) RemoveRecipient(ctx context.Context, id chunk.ID) error {
	s.others.Add(1)
	return s.Store.RemoveRecipient(ctx, id)
}

// Whoever has no right to a command learns nothing: not whether the chunk exists, whose id it is, or what became of it. All
// refusals have the same bytes, and cost one lookup and one verification.
//
// Spec: xftp.md 7.3
func TestIndistinguishable(t *testing.T) {
	store := &countingStore{Store: memstore.New(memstore.Options{})}
	var verifications *atomic.Int64
	r := xftptest.Start(t, xftptest.Options{Store: store, Prepare: func(s *server.Server) { verifications = s.CountVerifications() }})
	p := native(t, r)
	registered, uploaded, blocked, deleted := p.create(size), p.create(size), p.create(size), p.create(size)
	expect(t, p.put(uploaded, uploaded.body), "OK")
	block(t, store.Store, blocked, chunk.Blocking{Reason: "spam"})
	must(t, r.Connect(t, client.Options{}).Delete(t.Context(), deleted.senderID, deleted.sender))
	unknown, _ := content(xftp.IDSize)
	body, _ := content(size)

	ids := map[string][]byte{
		"unknown": unknown, "short": unknown[:8], "long": make([]byte, 200), "empty-like": {0},
		"registered": registered.senderID, "uploaded": uploaded.senderID, "blocked": blocked.senderID, "deleted": deleted.senderID,
		"recipient of a registered one": registered.id, "recipient of an uploaded one": uploaded.id,
		"recipient of a blocked one": blocked.id, "recipient of a deleted one": deleted.id,
	}
	strangers := map[string]auth.Key{
		"Ed25519": auth.NewEd25519(), "X25519": auth.NewX25519(), "Ed448": auth.NewEd448(),
		"a key of another chunk": p.create(size).sender,
	}
	for _, cmd := range []xftp.Command{
		xftp.FPUT{}, xftp.FDEL{}, xftp.FACK{}, xftp.FADD{Recipients: keysOf(auth.NewEd25519())}, xftp.FGET{Key: auth.NewX25519().Public()},
	} {
		t.Run(cmd.Tag(), func(t *testing.T) {
			for whose, k := range strangers {
				for what, id := range ids {
					lookups, others, verified := store.lookups.Load(), store.others.Load(), verifications.Load()
					s := p.post(nil, append(p.head(k, nil, id, cmd), body...))
					got, err := xftp.ParseBlock(s.body, p.session.ID)
					if err != nil || string(got.Command) != "ERR AUTH" || !bytes.Equal(got.EntityID, id) || len(s.body) != xftp.BlockSize {
						t.Errorf("%s, %s: %q", what, whose, got.Command)
					}
					if n, m, v := store.lookups.Load()-lookups, store.others.Load()-others, verifications.Load()-verified; n != 1 || m != 0 || v != 1 {
						t.Errorf("%s, %s: %d lookups, %d verifications, %d other calls", what, whose, n, v, m)
					}
				}
			}
		})
	}
	p.quiet()
}
