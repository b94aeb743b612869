package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/description"
	"sotto/shared/file"
)

// maxRedirect bounds a description that was uploaded as a file, in bytes with its padding. That of the largest file, with
// several replicas of each chunk, has less than a quarter of it.
const maxRedirect = 4 << 20

// Redirect uploads a recipient's description as a small file, of one chunk if it fits one, and returns what describes
// that: short enough for links, however many chunks the file has. Errors are those of [Send].
//
// Spec: xftp.md 13.4
func Redirect(ctx context.Context, d *description.Description, relays []address.Server, o Options) (*Sent, error) {
	text := d.Append(nil)
	encoded, err := file.Encoded(file.Header{}, int64(len(text)))
	if err != nil {
		return nil, err
	}
	s := &sending{options: o.withDefaults(), recipients: 1, sizes: file.ChunkSizes(encoded)}
	if size, ok := file.SingleChunk(encoded); ok {
		s.sizes = []uint32{size}
	}
	sent, err := s.send(ctx, Source{Size: int64(len(text)), Reader: bytes.NewReader(text)}, file.Header{}, relays)
	if err != nil {
		return nil, err
	}
	sent.Recipients[0].Redirect = &description.Redirect{Size: d.Size, Digest: d.Digest}
	return sent, nil
}

// resolve returns the description of the file itself: d, or what it redirects to.
//
// Spec: xftp.md 13.4
func (r *receiving) resolve(ctx context.Context, d *description.Description) (*description.Description, error) {
	if d.Party != description.Recipient {
		return nil, ErrParty
	}
	r.read = append(r.read, d)
	if d.Redirect == nil {
		return d, checkSize(d.Size)
	}
	if d.Size > maxRedirect {
		return nil, ErrRedirect
	}
	if err := checkSize(d.Redirect.Size); err != nil {
		return nil, err
	}
	text, err := r.text(ctx, d)
	if err != nil {
		return nil, err
	}
	target, err := description.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRedirect, err)
	}
	if !d.Redirect.Leads(target) {
		return nil, ErrRedirect
	}
	r.read = append(r.read, target)
	return target, nil
}

// text receives a small file into memory.
func (r *receiving) text(ctx context.Context, d *description.Description) ([]byte, error) {
	r.meter = newMeter(nil, d.Size)
	var whole, content bytes.Buffer
	for i := range d.Chunks {
		before := whole.Len()
		err := r.chunk(ctx, &d.Chunks[i], func(fetch func(io.Writer) error) error {
			whole.Truncate(before)
			return fetch(&whole)
		})
		if err != nil {
			return nil, err
		}
	}
	if _, _, err := decrypt(d, &whole, &content); err != nil {
		return nil, err
	}
	return content.Bytes(), nil
}

func checkSize(encoded int64) error {
	if encoded > mostEncoded {
		return file.ErrTooLarge
	}
	return nil
}

// acknowledge tells the relays that the file is here, as far as that is possible in a short time. Where it is not, the
// chunks expire.
//
// Spec: xftp.md 8.7
func (r *receiving) acknowledge(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, cleanupTimeout, errors.New("no time left"))
	defer cancel()
	for _, d := range r.read {
		_, _ = each(ctx, r.pool, targets(d), func(c *client.Client, t target) error {
			return c.Acknowledge(ctx, t.id, t.key)
		})
	}
}
