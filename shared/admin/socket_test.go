package admin

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// socketPath is a path that is short enough, in a directory that there is not yet.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "adm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "admin", "x.sock")
}

// listen opens a socket for the time of the test.
func listen(t *testing.T, path string) *Socket {
	t.Helper()
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestOnlyTheOwnerGetsIn(t *testing.T) {
	path := socketPath(t)
	listen(t, path)
	for name, want := range map[string]fs.FileMode{
		path: fs.ModeSocket | 0o600, path + ".lock": 0o600, filepath.Dir(path): fs.ModeDir | 0o700,
	} {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, not %v", filepath.Base(name), info.Mode(), want)
		}
	}
}

func TestDirectoryOfOthersIsRefused(t *testing.T) {
	for _, mode := range []fs.FileMode{0o755, 0o710, 0o701, 0o770} {
		path := socketPath(t)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(path), mode); err != nil {
			t.Fatal(err)
		}
		if s, err := Listen(path); !errors.Is(err, ErrOpen) {
			_ = s.Close()
			t.Errorf("a directory with mode %v: %v", mode, err)
		}
	}
}

// Two relays want one path: the first keeps it, and the second can have it afterwards.
func TestOneRelayHasThePath(t *testing.T) {
	path := socketPath(t)
	first := listen(t, path)
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Fatalf("the second relay: %v", err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the first has lost its socket: %v", err)
	}
	_ = conn.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
	listen(t, path)
}

// What a relay that was killed has left behind is removed; what somebody else has there, is not.
func TestWhatIsThere(t *testing.T) {
	path := socketPath(t)
	dead := listen(t, path)
	dead.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Fatalf("nothing is left behind: %v", err)
	}
	_ = listen(t, path).Close()

	other, err := net.Listen("unix", path) // of a program that knows no lock
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrInUse) {
		t.Errorf("another program's socket: %v", err)
	}
	_ = other.Close()
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path); !errors.Is(err, ErrFile) {
		t.Errorf("a file: %v", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file has %q, %v", content, err)
	}
}

func TestPathTooLong(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, strings.Repeat("x", MaxPath-len(dir)))
	if _, err := Listen(path); !errors.Is(err, ErrPath) {
		t.Errorf("%d bytes: %v", len(path), err)
	}
	path = socketPath(t)
	path += strings.Repeat("x", MaxPath-len(path))
	listen(t, path)
}

// A nil socket is one that there shall not be.
func TestNoSocket(t *testing.T) {
	var none *Socket
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	if parts := none.Parts(nil, nil, nil, nopLog); len(parts) != 0 {
		t.Error("there is a server without a socket")
	}
}
