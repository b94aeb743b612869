package server

import (
	"context"
	"errors"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/smp"
)

// ErrBlocking answers an operator who blocks a chunk for no reason of the protocol's, or with a notice that makes no sense.
var ErrBlocking = errors.New("a chunk is blocked for spam or content, with a notice of 0 seconds or more")

// ChunkStatus is what an operator may know of a chunk: none of its ids, keys or bytes.
//
// Spec: xftp.md 10.1
type ChunkStatus struct {
	Size     uint32
	Created  time.Time // the hour
	Uploaded bool
	Blocked  bool
	Blocking chunk.Blocking // when Blocked
}

// ChunkStatus describes the chunk that has this sender or recipient id.
//
// Spec: xftp.md 11.5
func (s *Server) ChunkStatus(ctx context.Context, id []byte) (ChunkStatus, error) {
	c, err := s.findReported(ctx, id)
	if err != nil {
		return ChunkStatus{}, err
	}
	return ChunkStatus{
		Size: c.Size, Created: time.Unix(c.Created, 0).UTC(), Uploaded: c.Uploaded, Blocked: c.Blocked, Blocking: c.Blocking,
	}, nil
}

// findReported finds a chunk by an id that an operator was told of. Ids are random and not used twice, so one is either a
// recipient's or a sender's.
func (s *Server) findReported(ctx context.Context, id []byte) (*chunk.Chunk, error) {
	parsed, ok := chunk.ParseID(id)
	if !ok {
		return nil, chunk.ErrNotFound
	}
	c, _, err := s.store.ByRecipient(ctx, parsed)
	if errors.Is(err, chunk.ErrNotFound) {
		c, err = s.store.BySender(ctx, parsed)
	}
	return c, err
}

// Block blocks a chunk, or changes the reason for which it is blocked, and removes its body.
//
// Spec: xftp.md 11.5
func (s *Server) Block(ctx context.Context, id []byte, b chunk.Blocking) error {
	known := b.Reason == string(smp.ReasonSpam) || b.Reason == string(smp.ReasonContent)
	if !known || b.NoticeTTL < 0 || (b.NoticeTTL > 0 && !b.HasNotice) {
		return ErrBlocking
	}
	return s.moderate(ctx, id, func(ref chunk.Ref) error { return s.store.Block(ctx, ref, b) })
}

// Unblock ends that. The body is gone: clients are told that there is none, and the sender may upload it again.
func (s *Server) Unblock(ctx context.Context, id []byte) error {
	return s.moderate(ctx, id, func(ref chunk.Ref) error { return s.store.Unblock(ctx, ref) })
}

// DeleteChunk removes a chunk as FDEL does, also one that is blocked.
//
// Spec: xftp.md 11.5
func (s *Server) DeleteChunk(ctx context.Context, id []byte) error {
	return s.moderate(ctx, id, func(ref chunk.Ref) error {
		err := s.store.Delete(ctx, ref)
		if err == nil {
			s.count.ChunksDeleted.Add(1)
		}
		return err
	})
}

// moderate does something to the chunk with an id.
func (s *Server) moderate(ctx context.Context, id []byte, do func(chunk.Ref) error) error {
	c, err := s.findReported(ctx, id)
	if err != nil {
		return err
	}
	return do(c.Ref)
}
