package e2e

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// versions are those that the tests speak: the oldest, one with proxying, one with block encryption, the newest.
var versions = []wire.Version{smp.MinVersion, smp.VersionProxy, smp.VersionBlockEncryption, smp.MaxVersion}

const (
	// startTime is how long a relay may take to be ready, also after a crash and with the machine busy.
	startTime = time.Minute
	// answerTime is how long anything may take that is not expected to wait.
	answerTime = 30 * time.Second
	// testTime bounds a test, so that one that hangs says where.
	testTime = 4 * time.Minute
	// pollTime is the pause between two looks at something that is waited for.
	pollTime = 10 * time.Millisecond
)

// build compiles the relay once for all tests.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if buildDir, err = os.MkdirTemp("", "sotto-e2e-"); err != nil {
		return "", err
	}
	return relay.Build(context.Background(), address.SMP, buildDir)
})

var buildDir string

func TestMain(m *testing.M) {
	code := m.Run()
	if buildDir != "" {
		_ = os.RemoveAll(buildDir)
	}
	os.Exit(code)
}

// relayBinary skips the test unless it was asked for, and returns the path of the relay.
func relayBinary(t *testing.T) string {
	t.Helper()
	if testing.Short() || os.Getenv("SOTTO_E2E") == "" {
		t.Skip("end-to-end tests run with SOTTO_E2E=1, see make e2e")
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newDatabase makes a database for one test and returns its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	relayBinary(t)
	return pgtest.Open(t)
}

// newRelay makes a relay on a database, without starting it. It ends with the test, and must not have panicked.
func newRelay(t *testing.T, databaseURL string, settings ...string) *relay.Relay {
	t.Helper()
	r, err := relay.New(address.SMP, relayBinary(t), filepath.Join(t.TempDir(), "data"), databaseURL, settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Kill(); err != nil {
			t.Errorf("end the relay: %v", err)
		}
		checkSound(t, r)
		if t.Failed() {
			t.Logf("the relay's output:\n%s%s", r.Stdout.String(), tail(r.Stderr.String()))
		}
	})
	return r
}

// startRelay starts a relay on a database of its own.
func startRelay(t *testing.T, settings ...string) *relay.Relay {
	t.Helper()
	r := newRelay(t, newDatabase(t), settings...)
	start(t, r)
	return r
}

func start(t *testing.T, r *relay.Relay) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
}

// restart stops the relay in an orderly way, starts it again, and returns a client of the new process.
func restart(t *testing.T, r *relay.Relay, o client.Options) *client.Client {
	t.Helper()
	code, err := r.Stop(stopTime)
	must(t, "stop", err)
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	start(t, r)
	return dial(t, r, o)
}

// checkSound finds the traces of panics.
func checkSound(t *testing.T, r *relay.Relay) {
	t.Helper()
	for _, trace := range []string{"panic:", "goroutine ", "fatal error:", "connection handler failed"} {
		if lines := r.Stderr.Lines(0, trace); len(lines) > 0 {
			t.Errorf("the relay has failed: %s", lines[0])
		}
	}
}

// tail returns the end of a long text.
func tail(s string) string {
	const most = 8 << 10
	if len(s) <= most {
		return s
	}
	return "[...]" + s[len(s)-most:]
}

// bounded returns a context for a whole test.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	t.Cleanup(cancel)
	return ctx
}

// server returns the relay's address.
func server(t *testing.T, r *relay.Relay) smp.Server {
	t.Helper()
	s, err := r.Server()
	if err != nil {
		t.Fatalf("the relay's address: %v", err)
	}
	return s
}

// speaking returns the options of a client that speaks one version only.
func speaking(v wire.Version) client.Options {
	return client.Options{Versions: wire.VersionRange{Min: v, Max: v}}
}

// dial connects a client that ends with the test.
func dial(t *testing.T, r *relay.Relay, o client.Options) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c, err := client.Dial(ctx, server(t, r), o)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dialConn is dial for a connection that the test reads and writes itself.
func dialConn(t *testing.T, r *relay.Relay, o client.Options) *client.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime)
	defer cancel()
	c, err := client.DialConn(ctx, server(t, r), o)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	if err := c.SetDeadline(time.Now().Add(answerTime)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// eventually waits until what is so.
func eventually(t *testing.T, within time.Duration, what string, isSo func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for !isSo() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after %v still not: %s", within, what)
		}
	}
}

// pause lets a client that was refused wait before it tries again. It reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// must fails the test for an error of something that has to work.
func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// fingerprint returns that of the relay's identity.
func fingerprint(t *testing.T, r *relay.Relay) [32]byte {
	t.Helper()
	s := server(t, r)
	if len(s.Fingerprint) != 32 {
		t.Fatalf("the fingerprint has %d bytes", len(s.Fingerprint))
	}
	return [32]byte(s.Fingerprint)
}

// noKey leaves a command unauthorized.
var noKey auth.Key
