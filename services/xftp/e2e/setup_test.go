package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
	"sotto/shared/wire"
)

const (
	// startTime is how long a relay may take to be ready, also after a crash and with the machine busy.
	startTime = time.Minute
	// stopTime is what a relay may take to stop, whatever it is doing.
	stopTime = 10 * time.Second
	// answerTime is how long anything may take that is not expected to wait.
	answerTime = 30 * time.Second
	// testTime bounds a test, so that one that hangs says where.
	testTime = 5 * time.Minute
)

// build compiles the relay once for all tests.
var build = sync.OnceValues(func() (string, error) {
	var err error
	if buildDir, err = os.MkdirTemp("", "sotto-e2e-"); err != nil {
		return "", err
	}
	return relay.Build(context.Background(), address.XFTP, buildDir)
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
	r, err := relay.New(address.XFTP, relayBinary(t), filepath.Join(t.TempDir(), "data"), databaseURL, settings...)
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

// checkSound finds the traces of panics.
func checkSound(t *testing.T, r *relay.Relay) {
	t.Helper()
	for _, trace := range []string{"panic:", "goroutine ", "fatal error:", "this is a bug"} {
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
func server(t *testing.T, r *relay.Relay) address.Server {
	t.Helper()
	s, err := r.Server()
	if err != nil {
		t.Fatalf("the relay's address: %v", err)
	}
	return s
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

// uploaded is a chunk of a client's, with all that it takes to use it.
type uploaded struct {
	body              []byte
	digest            [sha256.Size]byte
	sender, recipient auth.Key
	senderID          wire.EntityID
	recipientID       wire.EntityID
}

// newChunk makes a chunk of this size, not registered yet.
func newChunk(size int) *uploaded {
	u := &uploaded{body: make([]byte, size), sender: auth.NewEd25519(), recipient: auth.NewEd25519()}
	_, _ = rand.Read(u.body) // never fails
	u.digest = sha256.Sum256(u.body)
	return u
}

// register registers the chunk for its recipient.
func (u *uploaded) register(ctx context.Context, c *client.Client) error {
	id, recipients, err := c.Create(ctx, u.sender, uint32(len(u.body)), u.digest[:], []key.Public{u.recipient.Public()})
	if err == nil {
		u.senderID, u.recipientID = id, recipients[0]
	}
	return err
}

// upload uploads the body of a registered chunk.
func (u *uploaded) upload(ctx context.Context, c *client.Client) error {
	return c.Upload(ctx, u.senderID, u.sender, bytes.NewReader(u.body), uint32(len(u.body)))
}

// errOtherBytes: what came back is not what was uploaded.
var errOtherBytes = errors.New("the relay gave back other bytes")

// download downloads the chunk and compares it.
func (u *uploaded) download(ctx context.Context, c *client.Client) error {
	var got bytes.Buffer
	if err := c.Download(ctx, u.recipientID, u.recipient, uint32(len(u.body)), u.digest[:], &got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), u.body) {
		return errOtherBytes
	}
	return nil
}

// upload registers and uploads a chunk of this size, which has to work.
func upload(ctx context.Context, t *testing.T, c *client.Client, size int) *uploaded {
	t.Helper()
	u := newChunk(size)
	must(t, "register", u.register(ctx, c))
	must(t, "upload", u.upload(ctx, c))
	return u
}

// must fails the test for an error of something that has to work.
func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// run is one run of the binary that ends by itself.
type run struct {
	code           int
	stdout, stderr string
}

// Exit codes of the binary.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// command runs the binary in a directory of its own with these settings, written XFTP_NAME=value, and no others.
func command(t *testing.T, settings []string, args ...string) run {
	t.Helper()
	return commandIn(t, t.TempDir(), settings, args...)
}

// commandIn is command in this directory.
func commandIn(t *testing.T, dir string, settings []string, args ...string) run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, relayBinary(t), args...)
	cmd.Env = relay.Environment(settings...)
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("xftp %v: %v", args, err)
	}
	if ctx.Err() != nil {
		t.Fatalf("xftp %v has not ended within %v\n%s%s", args, testTime, stdout.String(), stderr.String())
	}
	return run{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// expect fails the test unless the run ended with this code, and says all of these words somewhere.
func (r run) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, not %d:\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	said := strings.Join(strings.Fields(r.stdout+r.stderr), " ") // without line breaks
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not said:\n%s%s", word, r.stdout, r.stderr)
		}
	}
	if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") {
		t.Errorf("it panicked:\n%s", r.stderr)
	}
}
