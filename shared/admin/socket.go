package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// MaxPath is how long the path of a Unix socket may be.
const MaxPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// Errors of [Listen]. Those of the operating system come as they are: paths are the operator's own.
var (
	// ErrPath says that the path is longer than the path of a socket may be.
	ErrPath = fmt.Errorf("its path has more than the %d bytes that the path of a socket may have", MaxPath)
	// ErrInUse says that another process listens there.
	ErrInUse = errors.New("another process listens there")
	// ErrOpen says that others than the relay's user may enter the directory.
	ErrOpen = errors.New("others may enter its directory, which must be the relay's own, with mode 0700")
	// ErrFile says that there is something else at the path.
	ErrFile = errors.New("there is a file of another kind")
)

// dirMode is that of the socket's directory: only the relay's user enters it. The socket's own mode is for systems on which
// that is not enough.
const (
	dirMode    = 0o700
	socketMode = 0o600
)

// Socket is a Unix socket that a relay listens on.
type Socket struct {
	net.Listener
	lock *os.File // held as long as the socket is open, so that no other process takes the path
}

// Listen opens a socket at this path, in a directory that is made if there is none. What an earlier process has left behind
// is removed.
func Listen(path string) (*Socket, error) {
	if len(path) > MaxPath {
		return nil, ErrPath
	}
	if err := prepareDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	ln, err := listenLocked(path)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return &Socket{ln, lock}, nil
}

// Close stops listening, removes the socket and lets others have the path. It may be called more than once, and of nil.
func (s *Socket) Close() error {
	if s == nil {
		return nil
	}
	err := s.Listener.Close()
	_ = s.lock.Close()
	return err
}

// prepareDir makes the socket's directory, and wants it to be the relay's own.
func prepareDir(dir string) error {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return cause(err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return cause(err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if info.Mode().Perm()&^dirMode != 0 || (ok && int(owner.Uid) != os.Geteuid()) {
		return ErrOpen
	}
	return nil
}

// lockFile locks a file, which stays there: to remove it would let two processes lock two files of one name.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, socketMode)
	if err != nil {
		return nil, cause(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, err
	}
	return f, nil
}

// listenLocked opens the socket. Whoever listens there without the lock is no relay, and is left alone.
func listenLocked(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, cause(err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, ErrFile
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			_ = conn.Close()
			return nil, ErrInUse
		}
		if err := os.Remove(path); err != nil {
			return nil, cause(err)
		}
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, cause(err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		_ = ln.Close()
		return nil, cause(err)
	}
	return ln, nil
}

// cause is what the operating system says, without the path, which the operator is told anyway.
func cause(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}
