package server

import (
	"context"
	"crypto/ecdh"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/xftp"
)

// authorize finds the chunk of a command and verifies who sent it. A refusal costs the same work and gives the same bytes
// whether the id is unknown, of the other party, or the key is wrong.
//
// Spec: xftp.md 7.3
func (x *exchange) authorize(t xftp.Transmission, cmd xftp.Command, session *ecdh.PrivateKey) (*chunk.Chunk, error) {
	c, k, err := x.find(t, cmd)
	if err != nil && !errors.Is(err, chunk.ErrNotFound) {
		return nil, err
	}
	// No key makes it one of nobody's.
	if !x.c.srv.verify(k, session, t.CorrID, t.Authorization, t.Authorized) || c == nil {
		return nil, xftp.ErrAuth
	}
	if c.Blocked {
		return nil, blockedError(c)
	}
	return c, nil
}

// find returns the chunk of a command with the key that it has to be authorized by.
func (x *exchange) find(t xftp.Transmission, cmd xftp.Command) (c *chunk.Chunk, k key.Public, err error) {
	// An id of another length is looked up as one that there is not.
	id, valid := chunk.ParseID(t.EntityID)
	if cmd.Party() == xftp.Recipient {
		c, k, err = x.c.srv.store.ByRecipient(x.ctx(), id)
	} else if c, err = x.c.srv.store.BySender(x.ctx(), id); err == nil {
		k = c.SenderKey
	}
	if err != nil || !valid {
		return nil, key.Public{}, err
	}
	return c, k, nil
}

// ctx is what storage work ends with: not the client's leaving, which would cost a database connection each time.
func (x *exchange) ctx() context.Context { return x.c.srv.work }

// mayCreate reports whether a client with this password may register chunks.
//
// Spec: xftp.md 8.1
func (s *Server) mayCreate(password []byte) bool {
	given, wanted := sha256.Sum256(password), sha256.Sum256(s.cfg.CreatePassword)
	right := subtle.ConstantTimeCompare(given[:], wanted[:]) == 1
	return s.cfg.NewFiles && (right || len(s.cfg.CreatePassword) == 0)
}

// blockedError tells why an operator blocked c.
//
// Spec: xftp.md 9.1
func blockedError(c *chunk.Chunk) xftp.Error {
	e := xftp.BlockedError{Reason: smp.BlockingReason(c.Blocking.Reason)}
	if c.Blocking.HasNotice {
		e.Notice = &smp.Notice{HasTTL: c.Blocking.NoticeTTL > 0, TTL: c.Blocking.NoticeTTL}
	}
	return e
}
