package server

import (
	"context"
	"io"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/key"
)

// Store is what the command handlers need of storage. Methods are safe for concurrent use. When a method returns nil
// its effect is durable, as far as the store is durable at all. Errors are the sentinels of package chunk, wrapped or
// not; any other error means storage trouble. Every method returns within a bound of its own when the database is away
// (chunk.ErrUnavailable), or earlier when ctx ends.
//
// Chunks that have expired are not found, from the moment they expire, whether or not [Store.Expire] has run since.
type Store interface {
	// Create stores c with its recipients, all or nothing, and sets c.Ref. It returns chunk.ErrExists when one of
	// the ids is taken, by a sender or a recipient, or appears twice.
	Create(ctx context.Context, c *chunk.Chunk, recipients []chunk.Recipient) error
	// AddRecipients adds recipients to an active chunk, all or nothing: chunk.ErrNotFound, chunk.ErrExists.
	AddRecipients(ctx context.Context, ref chunk.Ref, recipients []chunk.Recipient) error
	// BySender returns the record with this sender id, blocked or not, or chunk.ErrNotFound. It takes as long for
	// an id that is there as for one that is not.
	BySender(ctx context.Context, id chunk.ID) (*chunk.Chunk, error)
	// ByRecipient returns the record that has this recipient, and the recipient's key.
	ByRecipient(ctx context.Context, id chunk.ID) (*chunk.Chunk, key.Public, error)
	// Upload reserves room for the body of c and begins to store it: chunk.ErrQuota, chunk.ErrUploaded.
	Upload(ctx context.Context, c *chunk.Chunk) (Upload, error)
	// Download opens the body of c, which stays readable to its end even when the chunk is deleted meanwhile
	// (then it may end with chunk.ErrNotFound instead, but never with other bytes): chunk.ErrNoBody, chunk.ErrNotFound.
	Download(ctx context.Context, c *chunk.Chunk) (io.ReadCloser, error)
	// Delete removes the record, its recipients and its body, and releases its room. A second one is
	// chunk.ErrNotFound. Blocked chunks are removed as well.
	Delete(ctx context.Context, ref chunk.Ref) error
	// RemoveRecipient removes one recipient; the rest stays. A second one is chunk.ErrNotFound.
	RemoveRecipient(ctx context.Context, id chunk.ID) error
	// Block marks the chunk as blocked, or changes the reason, and removes its body, releasing its room once.
	Block(ctx context.Context, ref chunk.Ref, b chunk.Blocking) error
	// Unblock takes the mark away. The body is gone: the chunk is as it was before its upload. One that is not blocked stays
	// as it is.
	Unblock(ctx context.Context, ref chunk.Ref) error
	// Expire removes what has expired at now (Unix seconds), with work that does not grow with the number of
	// chunks, and returns how many chunks that were. A store may remove chunks of neighbouring hours together, when
	// the last of them has expired; until then they count in Usage.
	Expire(ctx context.Context, now int64) (int64, error)
	// Usage tells what is stored, from memory.
	Usage() Usage
}

// Upload is a body on its way into the store. One goroutine uses it. Memory stays constant, whatever the size. Exactly
// one of Commit and Abort must be called last; Abort is harmless after either.
type Upload interface {
	// Write adds bytes at the end, never more in all than the chunk's size (an error otherwise).
	io.Writer
	// Commit makes the body the chunk's and durable, if the chunk is still there and active and has no body:
	// chunk.ErrNotFound, chunk.ErrUploaded. Whatever it returns but nil, nothing of the body stays and its room
	// is released; except that after chunk.ErrUnavailable, or when ctx ends, the whole body may turn out to be stored,
	// and its room stays reserved until the store knows.
	Commit(ctx context.Context) error
	// Abort drops what was written and releases the room. What cannot be dropped now is dropped later.
	Abort()
}

// Usage are counts and bytes of bodies.
type Usage struct {
	Chunks   int64 // uploaded, not blocked
	Bytes    int64 // of these
	Reserved int64 // bytes of uploads in progress
	Quota    int64 // bytes; 0: unlimited
}
