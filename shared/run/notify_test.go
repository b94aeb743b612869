package run_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"sotto/shared/run"
	"sotto/shared/transport"
)

// manager is what systemd gives a unit of Type=notify: a socket that takes what the program says.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("WATCHDOG_PID", "")
	return conn
}

// hear returns the next thing that the program says.
func hear(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	said := make([]byte, 256)
	n, err := conn.Read(said)
	if err != nil {
		t.Fatal(err)
	}
	return string(said[:n])
}

func TestSystemdHearsOfStartAndEnd(t *testing.T) {
	conn := manager(t)
	listeners, err := run.Listen(t.Context(), "SMP_LISTEN", []string{"127.0.0.1:0"}, transport.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	r := &relay{shut: make(chan struct{})}
	go func() { ended <- run.Program{Relay: r, Listeners: listeners, Log: zerolog.Nop()}.Serve(ctx) }()
	if got := hear(t, conn); got != "READY=1" {
		t.Errorf("at start it says %q", got)
	}
	client, err := net.Dial("tcp", listeners[0].Addr().String())
	if err != nil {
		t.Errorf("said to be ready, and %v", err)
	} else {
		_ = client.Close()
	}
	cancel()
	if got := hear(t, conn); got != "STOPPING=1" {
		t.Errorf("at the end it says %q", got)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWatchdogHearsOfAProgramThatLives(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "2000")
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{}) // alive returns once it is read from: before that the program hangs
	ended := make(chan error, 1)
	go func() { ended <- run.Watch(ctx, func() { asked <- struct{}{} }) }()
	for range 3 {
		<-asked
		if got := hear(t, conn); got != "WATCHDOG=1" {
			t.Errorf("says %q", got)
		}
	}
	cancel()
	for {
		select {
		case <-asked: // it was about to say so once more
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func TestWatchdogHearsNothingOfAProgramThatHangs(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "1")
	ctx, cancel := context.WithCancel(t.Context())
	hangs, entered, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { ended <- run.Watch(ctx, func() { close(entered); <-hangs }) }()
	<-entered
	if err := run.Stopping(); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, conn); got != "STOPPING=1" {
		t.Errorf("a program that hangs says %q", got)
	}
	cancel()
	close(hangs)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWithoutSystemdNothingIsSaid(t *testing.T) {
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		t.Setenv(name, "")
	}
	never := func() { t.Error("there is nobody to be alive for") }
	if err := errors.Join(run.Ready(), run.Stopping(), run.Watch(t.Context(), never)); err != nil {
		t.Error(err)
	}
	t.Setenv("WATCHDOG_USEC", "2000")
	t.Setenv("WATCHDOG_PID", "1") // the watchdog is another process's
	if err := run.Watch(t.Context(), never); err != nil {
		t.Error(err)
	}
}

func TestSystemdThatIsGone(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	if run.Ready() == nil || run.Stopping() == nil {
		t.Error("nobody listens, and that is no error")
	}
	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "2000")
	if run.Watch(t.Context(), func() {}) == nil {
		t.Error("nobody listens to what the watchdog should hear, and that is no error")
	}
	t.Setenv("WATCHDOG_USEC", "soon")
	if run.Watch(t.Context(), func() {}) == nil {
		t.Error("a time that is no number is no error")
	}
}
