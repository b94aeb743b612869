// Package memstore keeps chunks in memory, for tests. It is what the contract of stores says in its simplest form.
package memstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/shared/key"
)

// Options are what a store is made with.
type Options struct {
	Quota int64            // bytes; 0: unlimited
	TTL   time.Duration    // of chunks; 0: for ever
	Now   func() time.Time // nil: time.Now
}

// Store keeps chunks in memory. Its methods are safe for concurrent use.
type Store struct {
	options Options

	mu         sync.Mutex
	last       chunk.Ref
	chunks     map[chunk.Ref]*record
	senders    map[chunk.ID]*record
	recipients map[chunk.ID]*recipient
	usage      server.Usage
}

type record struct {
	chunk.Chunk
	recipients []chunk.ID
	body       []byte // when Uploaded
}

type recipient struct {
	of  *record
	key key.Public
}

// New returns an empty store.
func New(o Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		options: o, chunks: make(map[chunk.Ref]*record), senders: make(map[chunk.ID]*record),
		recipients: make(map[chunk.ID]*recipient), usage: server.Usage{Quota: o.Quota},
	}
}

// Create stores a new chunk.
func (s *Store) Create(_ context.Context, c *chunk.Chunk, recipients []chunk.Recipient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken(c.SenderID) || !s.free(recipients, c.SenderID) {
		return chunk.ErrExists
	}
	s.last++
	c.Ref = s.last
	r := &record{Chunk: *c}
	r.Digest = bytes.Clone(c.Digest)
	s.chunks[c.Ref], s.senders[c.SenderID] = r, r
	s.add(r, recipients)
	return nil
}

// AddRecipients adds recipients to a chunk.
func (s *Store) AddRecipients(_ context.Context, ref chunk.Ref, recipients []chunk.Recipient) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.active(ref)
	if r == nil {
		return chunk.ErrNotFound
	}
	if !s.free(recipients, r.SenderID) {
		return chunk.ErrExists
	}
	s.add(r, recipients)
	return nil
}

// free reports whether no id is taken, by another or by one before it.
func (s *Store) free(recipients []chunk.Recipient, sender chunk.ID) bool {
	seen := map[chunk.ID]bool{sender: true}
	for _, r := range recipients {
		if seen[r.ID] || s.taken(r.ID) {
			return false
		}
		seen[r.ID] = true
	}
	return true
}

func (s *Store) taken(id chunk.ID) bool { return s.senders[id] != nil || s.recipients[id] != nil }

func (s *Store) add(r *record, recipients []chunk.Recipient) {
	for _, one := range recipients {
		s.recipients[one.ID] = &recipient{of: r, key: one.Key}
		r.recipients = append(r.recipients, one.ID)
	}
}

// current returns the record unless it is gone or has expired.
func (s *Store) current(r *record) *record {
	if r == nil || s.chunks[r.Ref] != r || s.expired(r, s.options.Now().Unix()) {
		return nil
	}
	return r
}

func (s *Store) expired(r *record, now int64) bool {
	return s.options.TTL > 0 && chunk.Expired(r.Created, now, int64(s.options.TTL/time.Second))
}

func (s *Store) active(ref chunk.Ref) *record {
	if r := s.current(s.chunks[ref]); r != nil && !r.Blocked {
		return r
	}
	return nil
}

// BySender returns the record with this sender id.
func (s *Store) BySender(_ context.Context, id chunk.ID) (*chunk.Chunk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.current(s.senders[id])
	if r == nil {
		return nil, chunk.ErrNotFound
	}
	c := r.Chunk
	return &c, nil
}

// ByRecipient returns the record that has this recipient, and the recipient's key.
func (s *Store) ByRecipient(_ context.Context, id chunk.ID) (*chunk.Chunk, key.Public, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.recipients[id]
	if one == nil || s.current(one.of) == nil {
		return nil, key.Public{}, chunk.ErrNotFound
	}
	c := one.of.Chunk
	return &c, one.key, nil
}

// Upload reserves room for a body.
func (s *Store) Upload(_ context.Context, c *chunk.Chunk) (server.Upload, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := int64(c.Size)
	switch r := s.active(c.Ref); {
	case r == nil:
		return nil, chunk.ErrNotFound
	case r.Uploaded:
		return nil, chunk.ErrUploaded
	case s.options.Quota > 0 && s.usage.Bytes+s.usage.Reserved+size > s.options.Quota:
		return nil, chunk.ErrQuota
	}
	s.usage.Reserved += size
	return &upload{store: s, ref: c.Ref, size: int(c.Size)}, nil
}

type upload struct {
	store *Store
	ref   chunk.Ref
	size  int
	body  []byte
	ended bool
}

var errTooLong = errors.New("body is longer than the chunk")

// Write adds bytes at the end.
func (u *upload) Write(p []byte) (int, error) {
	if len(u.body)+len(p) > u.size {
		return 0, errTooLong
	}
	u.body = append(u.body, p...)
	return len(p), nil
}

// Commit makes the body the chunk's.
func (u *upload) Commit(context.Context) error {
	s := u.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.ended {
		return errEnded
	}
	u.end()
	r := s.active(u.ref)
	switch {
	case r == nil:
		return chunk.ErrNotFound
	case r.Uploaded:
		return chunk.ErrUploaded
	case len(u.body) != u.size:
		return errTooShort
	}
	r.Uploaded, r.body = true, u.body
	s.usage.Chunks++
	s.usage.Bytes += int64(u.size)
	return nil
}

var (
	errTooShort = errors.New("body is shorter than the chunk")
	errEnded    = errors.New("upload has ended")
)

// Abort drops what was written.
func (u *upload) Abort() {
	u.store.mu.Lock()
	defer u.store.mu.Unlock()
	u.end()
}

func (u *upload) end() {
	if !u.ended {
		u.ended = true
		u.store.usage.Reserved -= int64(u.size)
	}
}

// Download opens a body.
func (s *Store) Download(_ context.Context, c *chunk.Chunk) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch r := s.active(c.Ref); {
	case r == nil:
		return nil, chunk.ErrNotFound
	case !r.Uploaded:
		return nil, chunk.ErrNoBody
	default:
		return io.NopCloser(bytes.NewReader(r.body)), nil
	}
}

// Delete removes a chunk.
func (s *Store) Delete(_ context.Context, ref chunk.Ref) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.current(s.chunks[ref])
	if r == nil {
		return chunk.ErrNotFound
	}
	s.remove(r)
	return nil
}

func (s *Store) remove(r *record) {
	s.dropBody(r)
	for _, id := range r.recipients {
		delete(s.recipients, id)
	}
	delete(s.senders, r.SenderID)
	delete(s.chunks, r.Ref)
}

// dropBody releases the room of a body, once.
func (s *Store) dropBody(r *record) {
	if r.body != nil {
		s.usage.Chunks--
		s.usage.Bytes -= int64(r.Size)
		r.body = nil
	}
}

// RemoveRecipient removes one recipient.
func (s *Store) RemoveRecipient(_ context.Context, id chunk.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.recipients[id]
	if one == nil || s.current(one.of) == nil {
		return chunk.ErrNotFound
	}
	delete(s.recipients, id)
	return nil
}

// Block marks a chunk as blocked and removes its body.
func (s *Store) Block(_ context.Context, ref chunk.Ref, b chunk.Blocking) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.current(s.chunks[ref])
	if r == nil {
		return chunk.ErrNotFound
	}
	s.dropBody(r)
	r.Blocked, r.Blocking, r.Uploaded = true, b, false
	return nil
}

// Expire removes what has expired.
func (s *Store) Expire(_ context.Context, now int64) (n int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.chunks {
		if s.expired(r, now) {
			s.remove(r)
			n++
		}
	}
	return n, nil
}

// Usage tells what is stored.
func (s *Store) Usage() server.Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}
