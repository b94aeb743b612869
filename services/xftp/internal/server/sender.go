package server

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"slices"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// maxUnsent is how many chunks more than it uploads a connection may register. Apps register all chunks of a file first:
// 256 for 1 GB, 1280 for the largest file that they send.
//
// Spec: xftp.md 15.2
const maxUnsent = 10_000

// idTries is how often ids are drawn anew when one is taken, which never happens to random ones.
//
// Spec: xftp.md 8.1
const idTries = 3

func (s *Server) newID() (id chunk.ID) {
	s.random(id[:])
	return id
}

// create registers a chunk.
//
// Spec: xftp.md 8.1
func (x *exchange) create(t xftp.Transmission, cmd xftp.FNEW, session *ecdh.PrivateKey) (xftp.Response, error) {
	s := x.c.srv
	if err := x.keepPace(); err != nil {
		return nil, err
	}
	if !s.verify(cmd.File.SenderKey, session, t.CorrID, t.Authorization, t.Authorized) || !s.mayCreate(cmd.BasicAuth) {
		return nil, xftp.ErrAuth
	}
	if !slices.Contains(s.cfg.ChunkSizes, cmd.File.Size) {
		return nil, xftp.ErrSize
	}
	if x.c.unsent.Add(1) > maxUnsent {
		x.c.unsent.Add(-1)
		return nil, xftp.ErrQuota
	}
	now := s.now().Unix()
	c := &chunk.Chunk{
		SenderKey: cmd.File.SenderKey, Size: cmd.File.Size, Digest: bytes.Clone(cmd.File.Digest), Created: now - now%chunk.Hour,
	}
	recipients, err := s.withIDs(cmd.Recipients, func(recipients []chunk.Recipient) error {
		c.SenderID = s.newID()
		return s.store.Create(x.ctx(), c, recipients)
	})
	if err != nil {
		x.c.unsent.Add(-1)
		return nil, err
	}
	s.count.ChunksCreated.Add(1)
	s.count.RecipientsAdded.Add(uint64(len(recipients)))
	return xftp.SIDS{SenderID: c.SenderID[:], RecipientIDs: recipients}, nil
}

// keepPace holds up who registers chunks faster than they may, before anything is checked: guesses of the password are
// slowed down as well. The error is TIMEOUT, which apps take for something that passes.
//
// Spec: xftp.md 9.3
func (x *exchange) keepPace() error {
	if x.c.lane.Wait(x.c.srv.ctx, 1) != nil {
		x.c.srv.count.CreatedTooFast.Add(1)
		return xftp.ErrTimeout
	}
	return nil
}

// withIDs stores recipients with these keys under ids that are new.
//
// Spec: xftp.md 8.1
func (s *Server) withIDs(keys []key.Public, store func([]chunk.Recipient) error) (ids []wire.EntityID, err error) {
	recipients := make([]chunk.Recipient, len(keys))
	for range idTries {
		for i, k := range keys {
			recipients[i] = chunk.Recipient{ID: s.newID(), Key: k}
		}
		if err = store(recipients); !errors.Is(err, chunk.ErrExists) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	for i := range recipients {
		ids = append(ids, recipients[i].ID[:])
	}
	return ids, nil
}

// addRecipients adds recipients to a chunk.
//
// Spec: xftp.md 8.2
func (x *exchange) addRecipients(c *chunk.Chunk, cmd xftp.FADD) (xftp.Response, error) {
	ids, err := x.c.srv.withIDs(cmd.Recipients, func(recipients []chunk.Recipient) error {
		return x.c.srv.store.AddRecipients(x.ctx(), c.Ref, recipients)
	})
	if err != nil {
		return nil, err
	}
	x.c.srv.count.RecipientsAdded.Add(uint64(len(ids)))
	return xftp.RIDS{RecipientIDs: ids}, nil
}

// delete removes a chunk.
//
// Spec: xftp.md 8.3
func (x *exchange) delete(c *chunk.Chunk) (xftp.Response, error) {
	if err := x.c.srv.store.Delete(x.ctx(), c.Ref); err != nil {
		return nil, err
	}
	x.c.srv.count.ChunksDeleted.Add(1)
	return xftp.OK{}, nil
}
