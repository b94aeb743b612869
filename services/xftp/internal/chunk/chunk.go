// Package chunk has the nouns of the file relay: chunk, recipient, and the errors that stores return for them. It does
// no I/O.
package chunk

import (
	"errors"
	"fmt"
	"io"

	"sotto/shared/key"
)

// Errors that every store returns, wrapped or not, for these outcomes.
var (
	// ErrNotFound: no such chunk or recipient, or it was deleted, blocked or has expired meanwhile.
	ErrNotFound = errors.New("chunk not found")
	// ErrExists: an id of a new chunk or recipient is taken.
	ErrExists = errors.New("id exists")
	// ErrUploaded: the chunk has a body already.
	ErrUploaded = errors.New("chunk has a body")
	// ErrNoBody: the chunk is registered, but has no body.
	ErrNoBody = errors.New("chunk has no body")
	// ErrQuota: there is no room for the body.
	ErrQuota = errors.New("storage is full")
	// ErrUnavailable: the store did not answer within its bound.
	ErrUnavailable = errors.New("store is unavailable")
)

// IDSize is the length of sender and recipient ids.
//
// Spec: xftp.md 8.1
const IDSize = 16

// ID is a sender or recipient id. It never prints itself.
type ID [IDSize]byte

// Format keeps ids out of logs and errors, whatever the verb.
func (ID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[entity]") }

// MarshalText keeps ids out of JSON and logs.
func (ID) MarshalText() ([]byte, error) { return []byte("[entity]"), nil }

// ParseID returns the id in b; false when b has another length, in which case nothing can have it.
func ParseID(b []byte) (ID, bool) {
	if len(b) != IDSize {
		return ID{}, false
	}
	return ID(b), true
}

// Ref is the store's private number of a chunk, unique over the store's whole life.
type Ref int64

// Hour is the unit of creation times, in seconds: the relay does not remember more.
//
// Spec: xftp.md 8.1
const Hour = 3600

// Blocking says why an operator blocked a chunk.
//
// Spec: xftp.md 9.1
type Blocking struct {
	Reason    string // "spam" or "content"
	HasNotice bool
	NoticeTTL int64 // seconds; 0: indefinite
}

// Chunk is one chunk's record, without its body. Records that a store returns are shared and must not be changed.
//
// Spec: xftp.md 10.1
type Chunk struct {
	Ref       Ref
	SenderID  ID
	SenderKey key.Public
	Size      uint32 // of the body, in bytes
	Digest    []byte // SHA-256 that the body must have; any length, since it is compared only then
	Created   int64  // Unix seconds, rounded down to a full hour
	Uploaded  bool   // it has a body
	Blocked   bool
	Blocking  Blocking // when Blocked
}

// Recipient is somebody who may download a chunk.
type Recipient struct {
	ID  ID
	Key key.Public
}

// Expired reports whether a chunk created then is older than ttl, both in seconds.
//
// Spec: xftp.md 10.3
func Expired(created, now, ttl int64) bool { return created+Hour < now-ttl }
