package transfer

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"sotto/services/xftp/internal/client"
	"sotto/shared/description"
	"sotto/shared/file"
	"sotto/shared/xftp"
)

// mostEncoded is the largest sum of chunks that is received: a file of the largest size with its header and padding.
const mostEncoded = file.MaxSize + 4<<20

// Received is a file that is there.
type Received struct {
	Path string
	Size int64 // in bytes
}

// Receive downloads the file of a recipient's description into a directory, under its own name or one like it. Chunks
// that an earlier call has got there are not downloaded again. The file appears when all of it is verified and on the
// disk. Then the relays are told that this recipient needs it no more, unless [Options.Keep] is set.
//
// Errors are [ErrParty], [file.ErrTooLarge], [ErrRedirect], [ErrBroken], [ErrBusy], [ErrNoName], [*RelayError],
// [*DiskError] and ctx's.
//
// Spec: xftp.md 12.1
// Spec: xftp.md 12.4
func Receive(ctx context.Context, d *description.Description, dir string, o Options) (*Received, error) {
	r := &receiving{options: o.withDefaults()}
	r.pool = newPool(r.options)
	defer r.pool.close()
	d, err := r.resolve(ctx, d)
	if err != nil {
		return nil, err
	}
	w, err := openWorkdir(dir, d.Digest[:])
	if err != nil {
		return nil, err
	}
	received, err := r.receive(ctx, d, w, dir)
	if err == nil || hopeless(err) {
		w.remove()
	} else {
		w.close()
	}
	if err == nil && !o.Keep {
		r.acknowledge(ctx)
	}
	return received, err
}

// hopeless reports whether nothing that was received so far will ever be of use.
func hopeless(err error) bool {
	_, blocked := errors.AsType[xftp.BlockedError](err)
	return blocked || errors.Is(err, xftp.ErrAuth) || errors.Is(err, client.ErrDigest) || errors.Is(err, ErrBroken)
}

// Resumes reports whether [Receive], having failed with err, goes on from there when it is called again.
func Resumes(err error) bool {
	_, relay := errors.AsType[*RelayError](err)
	return (relay || errors.Is(err, context.Canceled) || errors.Is(err, syscall.ENOSPC)) && !hopeless(err)
}

// receiving is one file on its way.
type receiving struct {
	options Options
	pool    *pool
	meter   *meter
	read    []*description.Description // those whose chunks are received
}

// receive gets what is missing in the working directory, and makes the file of it.
func (r *receiving) receive(ctx context.Context, d *description.Description, w *workdir, dir string) (*Received, error) {
	r.meter = newMeter(r.options.Progress, d.Size)
	missing, err := r.missing(ctx, d, w)
	if err != nil {
		return nil, err
	}
	if err := w.checkSpace(bytesOf(d, missing), d.Size); err != nil {
		return nil, err
	}
	err = parallel(ctx, len(missing), r.options.Connections, func(ctx context.Context, i int) error {
		number := missing[i]
		return r.chunk(ctx, &d.Chunks[number], func(fetch func(io.Writer) error) error {
			return w.receive(number+1, fetch)
		})
	})
	if err != nil {
		return nil, err
	}
	chunks := w.chunks(ctx, len(d.Chunks))
	defer chunks.Close()
	name, size, err := w.decrypt(d, chunks)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	path, err := place(w.filePath(), dir, SafeName(name))
	if err != nil {
		return nil, local("name the file", err)
	}
	return &Received{Path: path, Size: size}, syncDir(dir)
}

// missing returns the indexes of the chunks that are not in the working directory.
func (r *receiving) missing(ctx context.Context, d *description.Description, w *workdir) ([]int, error) {
	var missing []int
	for i, c := range d.Chunks {
		there, err := w.finished(ctx, i+1, int64(c.Size), c.Digest[:])
		switch {
		case err != nil:
			return nil, err
		case there:
			r.meter.add(int64(c.Size))
		default:
			missing = append(missing, i)
		}
	}
	return missing, nil
}

// bytesOf returns the size of these chunks together.
func bytesOf(d *description.Description, chunks []int) (n int64) {
	for _, i := range chunks {
		n += int64(d.Chunks[i].Size)
	}
	return n
}

// chunk downloads a chunk from the first of its replicas that works. keep is called for each attempt; it passes on
// where to write, and keeps that if there was no error.
//
// Spec: xftp.md 12.4
func (r *receiving) chunk(
	ctx context.Context, c *description.Chunk, keep func(fetch func(io.Writer) error) error,
) (err error) {
	for i := range c.Replicas {
		replica := &c.Replicas[i]
		count := &attempt{m: r.meter}
		err = r.pool.try(ctx, &replica.Server, func(cl *client.Client) error {
			count.undo()
			return keep(func(w io.Writer) error {
				return cl.Download(ctx, replica.ID, replica.Key, c.Size, c.Digest[:], io.MultiWriter(w, count))
			})
		})
		if err == nil || ctx.Err() != nil || isLocal(err) {
			return err
		}
		count.undo()
	}
	return err
}

// decrypt verifies all chunks together, and writes the file in clear into the working directory.
//
// Spec: xftp.md 12.1
func (w *workdir) decrypt(d *description.Description, chunks io.Reader) (name string, size int64, err error) {
	f, err := os.OpenFile(w.filePath(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", 0, local("make file", err)
	}
	defer f.Close()
	out := &localWriter{w: f}
	name, size, err = decrypt(d, chunks, out)
	switch {
	case out.err != nil:
		return "", 0, out.err
	case err != nil:
		return "", 0, err
	}
	return name, size, local("write file", errors.Join(f.Sync(), f.Close()))
}

// decrypt writes what the chunks contain. It is worthless unless the error is nil.
func decrypt(d *description.Description, chunks io.Reader, out io.Writer) (name string, size int64, err error) {
	decrypter, err := file.NewDecrypter(chunks, d.Size, &d.Key, &d.Nonce)
	if err != nil {
		return "", 0, broken(err)
	}
	if size, err = decrypter.WriteTo(out); err != nil {
		return "", 0, broken(err)
	}
	header, err := decrypter.Header()
	if err != nil {
		return "", 0, broken(err)
	}
	if decrypter.Digest() != [sha512.Size]byte(d.Digest) {
		return "", 0, ErrBroken
	}
	return header.Name, size, nil
}

// broken makes [ErrBroken] of what is wrong with an encrypted file.
func broken(err error) error {
	if errors.Is(err, file.ErrLength) || errors.Is(err, file.ErrTag) || errors.Is(err, file.ErrFormat) {
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	return err
}
