package transfer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// DiskError is a failure of the file system here. Its text has no path, which may be a name that a stranger chose.
type DiskError struct {
	Op  string
	Err error
}

// Error says what was done and why it failed.
func (e *DiskError) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// local makes a [*DiskError] of err, nil of nil.
func local(op string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *fs.PathError:
		err = e.Err
	case *os.LinkError:
		err = e.Err
	}
	return &DiskError{Op: op, Err: err}
}

// isLocal reports whether err is a [*DiskError].
func isLocal(err error) bool {
	_, ok := errors.AsType[*DiskError](err)
	return ok
}

// localWriter tells failures of the disk from those of the network.
type localWriter struct {
	w   io.Writer
	err error
}

func (w *localWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		w.err = local("write what was received", err)
	}
	return n, err
}

// localReader does so for what is read.
type localReader struct{ r io.Reader }

func (r localReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if err != nil && err != io.EOF {
		err = local("read the file", err)
	}
	return n, err
}

// syncDir makes the names in a directory durable, where the file system can do that.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return local("open directory", err)
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return local("write directory", err)
	}
	return nil
}

// freeSpace returns how many bytes a directory's file system has room for.
func freeSpace(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("free space: %w", err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
