package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// ErrBusy: the same file is being received into the same directory already.
var ErrBusy = errors.New("this file is being received into this directory already")

// workdir keeps the finished chunks of one file beside its destination until all are there, so that a transfer that was
// interrupted goes on where it was. Its name follows from the file's digest, and is hidden; what is in it is encrypted,
// up to the moment before the end. One process uses it at a time.
type workdir struct {
	path string
	lock *os.File
	free func(dir string) (int64, error)
}

// openWorkdir makes or finds the directory for a file in dir.
func openWorkdir(dir string, digest []byte) (*workdir, error) {
	sum := sha256.Sum256(digest)
	w := &workdir{path: filepath.Join(dir, "."+hex.EncodeToString(sum[:10])+".xftp-part"), free: freeSpace}
	if err := os.Mkdir(w.path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, local("make working directory", err)
	}
	d, err := os.OpenFile(w.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, local("open working directory", err)
	}
	if err := own(d); err != nil {
		_ = d.Close()
		return nil, local("open working directory", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, local("lock working directory", err)
	}
	w.lock = d
	return w, nil
}

// own returns an error for a directory that somebody else may write to, who could exchange what was verified.
func own(d *os.File) error {
	info, err := d.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return syscall.EPERM
	}
	return nil
}

// checkSpace returns an error if the disk has no room for chunks of missing bytes and for a file of size bytes.
func (w *workdir) checkSpace(missing, size int64) error {
	if free, err := w.free(w.path); err == nil && free < missing+size {
		return local("write what was received", syscall.ENOSPC)
	}
	return nil
}

// close leaves the directory for another time.
func (w *workdir) close() { _ = w.lock.Close() }

// remove deletes the directory with all that is in it.
func (w *workdir) remove() {
	_ = os.RemoveAll(w.path)
	w.close()
}

// chunkPath is where the chunk with this number is when it is finished.
func (w *workdir) chunkPath(number int) string {
	return filepath.Join(w.path, "chunk-"+strconv.Itoa(number))
}

// filePath is where the decrypted file is until it is moved to its place.
func (w *workdir) filePath() string { return filepath.Join(w.path, "file") }

// finished reports whether the chunk is there whole. One that is not, is removed.
func (w *workdir) finished(ctx context.Context, number int, size int64, digest []byte) (bool, error) {
	f, err := os.Open(w.chunkPath(number))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, local("open chunk", err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, &cancelable{ctx, io.LimitReader(f, size+1)})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err == nil && n == size && bytes.Equal(h.Sum(nil), digest) {
		return true, nil
	}
	return false, local("remove chunk", os.Remove(w.chunkPath(number)))
}

// receive writes a chunk by means of fetch. It becomes one of the finished ones if fetch returns nil.
func (w *workdir) receive(number int, fetch func(io.Writer) error) (err error) {
	final := w.chunkPath(number)
	part := final + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return local("make chunk", err)
	}
	out := &localWriter{w: f}
	err = fetch(out)
	if out.err != nil {
		err = out.err
	}
	if closed := local("write chunk", f.Close()); err == nil {
		err = closed
	}
	if err == nil {
		err = local("finish chunk", os.Rename(part, final))
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return err
}

// chunks reads the first count chunks one after the other. Errors are without paths.
func (w *workdir) chunks(ctx context.Context, count int) *chunkReader {
	return &chunkReader{ctx: ctx, w: w, count: count}
}

type chunkReader struct {
	ctx   context.Context
	w     *workdir
	count int
	at    int // number of the chunk that is open, or was last
	f     *os.File
}

// Read reads on, from chunk to chunk.
func (r *chunkReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	for {
		if r.f == nil {
			if r.at == r.count {
				return 0, io.EOF
			}
			r.at++
			f, err := os.Open(r.w.chunkPath(r.at))
			if err != nil {
				return 0, local("open chunk", err)
			}
			r.f = f
		}
		n, err := r.f.Read(p)
		if err == io.EOF {
			_ = r.Close()
			if n == 0 {
				continue
			}
			err = nil
		}
		return n, local("read chunk", err)
	}
}

// Close closes the chunk that is open.
func (r *chunkReader) Close() error {
	if r.f == nil {
		return nil
	}
	err := r.f.Close()
	r.f = nil
	return local("close chunk", err)
}

// cancelable is a reader that ends with ctx.
type cancelable struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
