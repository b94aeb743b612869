package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"sync"

	"sotto/services/xftp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/file"
	"sotto/shared/key"
)

// requestRecipients is how many recipients are added to a chunk at a time. Apps have the same bound; 255 would be the
// limit of the encoding.
//
// Spec: xftp.md 12.3
const requestRecipients = 200

// encrypted is a chunk to upload. Its body is one of a fixed number of buffers.
type encrypted struct {
	number int
	body   []byte
	digest [sha256.Size]byte
}

// upload reads the encrypted file and uploads its chunks. One goroutine encrypts, the others each have a chunk to upload;
// there are no more chunks in memory than buffers. The first error ends all, and is returned.
func (s *sending) upload(ctx context.Context, r io.Reader) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	width := min(s.options.Connections, len(s.sizes))
	ready := make(chan encrypted)
	free := make(chan []byte, width+ahead)
	for range cap(free) {
		free <- nil // a buffer is made when it is needed
	}
	var running sync.WaitGroup
	running.Go(func() {
		defer close(ready)
		if err := s.encrypt(ctx, r, free, ready); err != nil {
			cancel(err)
		}
	})
	for range width {
		running.Go(func() {
			for c := range ready {
				if err := s.chunk(ctx, c); err != nil {
					cancel(err)
					return
				}
				free <- c.body
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// encrypt reads one chunk after the other into free buffers and passes them on. It returns nil when ctx has ended.
func (s *sending) encrypt(ctx context.Context, r io.Reader, free <-chan []byte, ready chan<- encrypted) error {
	for number, size := range s.sizes {
		var c encrypted
		select {
		case c.body = <-free:
		case <-ctx.Done():
			return nil
		}
		if c.body == nil {
			c.body = make([]byte, slices.Max(s.sizes))
		}
		c.number, c.body = number, c.body[:size]
		if _, err := io.ReadFull(r, c.body); err != nil {
			return changed(err)
		}
		c.digest = sha256.Sum256(c.body)
		select {
		case ready <- c:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// changed makes [ErrChanged] of the wrong length of a file.
func changed(err error) error {
	if errors.Is(err, file.ErrLength) {
		return ErrChanged
	}
	return err
}

// chunk registers a chunk at one of the relays and uploads it there.
//
// Spec: xftp.md 12.3
func (s *sending) chunk(ctx context.Context, c encrypted) error {
	made, err := s.register(ctx, c)
	if err != nil {
		return err
	}
	count := &attempt{m: s.meter}
	return s.pool.try(ctx, made.relay, func(cl *client.Client) error {
		count.undo()
		body := io.TeeReader(bytes.NewReader(c.body), count)
		return cl.Upload(ctx, made.senderID, made.sender, body, uint32(len(c.body)))
	})
}

// register makes a chunk on the relay whose turn it is, or on another if that one cannot be reached.
func (s *sending) register(ctx context.Context, c encrypted) (*registered, error) {
	for {
		relay, others, err := s.relays.pick(c.number)
		if err != nil {
			return nil, err
		}
		made := &registered{relay: relay, digest: c.digest, sender: auth.NewEd25519()}
		for range s.recipients {
			made.recipients = append(made.recipients, auth.NewEd25519())
		}
		attempts := knownAttempts
		if others {
			attempts = hurriedAttempts
		}
		err = s.create(ctx, c, made, attempts)
		if err == nil || ctx.Err() != nil || !unreachable(err) {
			return made, err
		}
		s.relays.leaveOut(relay, err)
	}
}

// create registers a chunk with all its recipients. From the moment when the relay knows it, it is one of those made.
//
// Spec: xftp.md 8.1
// Spec: xftp.md 8.2
func (s *sending) create(ctx context.Context, c encrypted, made *registered, attempts int) error {
	keys := make([]key.Public, len(made.recipients))
	for i, k := range made.recipients {
		keys[i] = k.Public()
	}
	first := min(len(keys), requestRecipients)
	err := s.pool.tryAtMost(ctx, attempts, made.relay, func(cl *client.Client) (err error) {
		// Without the answer, what the relay has registered could not be deleted.
		ctx, stop := lingering(ctx, answerTime)
		defer stop()
		made.senderID, made.recipientsIDs, err = cl.Create(ctx, made.sender, uint32(len(c.body)), c.digest[:], keys[:first])
		return err
	})
	if err != nil {
		return err
	}
	s.made[c.number] = made
	for more := range slices.Chunk(keys[first:], requestRecipients) {
		err := s.pool.try(ctx, made.relay, func(cl *client.Client) error {
			ids, err := cl.AddRecipients(ctx, made.senderID, made.sender, more)
			made.recipientsIDs = append(made.recipientsIDs, ids...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
