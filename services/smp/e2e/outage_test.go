package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// What the relay says when its database goes and comes back.
const (
	saysGone = "database is away"
	saysBack = "database is back"
)

// TestDatabaseDisconnects ends all of the relay's connections to Postgres again and again, under load.
func TestDatabaseDisconnects(t *testing.T) {
	url := newDatabase(t)
	r := newRelay(t, url)
	start(t, r)
	const times = 8
	disturbed(t, r, pairs(t, r, 12, 60), times, func(int) {
		n := pgtest.Int(t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		if n == 0 {
			t.Error("the relay had no connection to the database")
		}
	})
	if gone := r.Stderr.Count(saysGone); gone > times {
		t.Errorf("the relay said %q %d times, for %d disturbances", saysGone, gone, times)
	}
	checkLogSize(t, r, 20*times)
}

// TestDatabaseRestarts stops and starts a Postgres of the test's own, in an orderly way and by crashing it.
func TestDatabaseRestarts(t *testing.T) {
	relayBinary(t)
	pg := newCluster(t)
	r := newRelay(t, pg.start(t))
	start(t, r)
	outages := []struct {
		name string
		stop func(*testing.T)
	}{{"stop", pg.stop}, {"crash", pg.crash}, {"crash", pg.crash}}
	disturbed(t, r, pairs(t, r, 12, 50), len(outages), func(i int) {
		from := r.Stderr.Len()
		outages[i].stop(t)
		waitFor(t, r, from, saysGone)
		pg.start(t)
		waitFor(t, r, from, saysBack)
		for _, text := range []string{saysGone, saysBack} {
			if n := len(r.Stderr.Lines(from, text)); n != 1 {
				t.Errorf("%s %d: the relay said %q %d times", outages[i].name, i, text, n)
			}
		}
	})
	checkLogSize(t, r, 20*len(outages))
}

// TestDatabaseIsAwayForLong checks that commands are answered, with an error, when the database stays away, and that
// the relay serves again when it is back.
func TestDatabaseIsAwayForLong(t *testing.T) {
	relayBinary(t)
	pg := newCluster(t)
	r := newRelay(t, pg.start(t), "SMP_STORE_TIMEOUT=1s")
	start(t, r)
	disturbed(t, r, pairs(t, r, 4, 20), 1, func(int) {
		from := r.Stderr.Len()
		pg.crash(t)
		waitFor(t, r, from, saysGone)
		health := exec.CommandContext(t.Context(), r.Binary, "health")
		health.Env = r.Env
		if out, err := health.CombinedOutput(); err == nil {
			t.Errorf("healthy without a database: %s", out)
		}
		pg.start(t)
		waitFor(t, r, from, saysBack)
	})
}

// TestOutcomesUnknown crashes Postgres under a relay with so little patience that it gives up many operations without
// knowing whether they were done.
func TestOutcomesUnknown(t *testing.T) {
	relayBinary(t)
	pg := newCluster(t)
	r := newRelay(t, pg.start(t), "SMP_STORE_TIMEOUT=150ms")
	start(t, r)
	disturbed(t, r, pairs(t, r, 12, 60), 5, func(int) {
		pg.crash(t)
		pg.start(t)
	})
}

// waitFor waits for the relay to say something.
func waitFor(t *testing.T, r *relay.Relay, from int, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if _, err := r.Stderr.WaitLine(ctx, from, text); err != nil {
		t.Fatalf("the relay has not said %q: %v", text, err)
	}
}

// checkLogSize fails if the relay told more than lines of news, as it would if it told of every command.
func checkLogSize(t *testing.T, r *relay.Relay, lines int) {
	t.Helper()
	if n := r.Stderr.Count("\n"); n > lines {
		t.Errorf("the relay wrote %d lines to its log, more than %d", n, lines)
	}
}

// cluster is a Postgres that the test may stop.
type cluster struct{ dir string }

// script makes private clusters, for `make run` too.
const script = "../../../docker/postgres/local.sh"

// newCluster makes a place for a cluster, or skips the test where there can be none.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("there is no bash to start a Postgres with")
	}
	dir, err := os.MkdirTemp("", "sotto-pg-")
	must(t, "directory", err)
	must(t, "directory", os.Chmod(dir, 0o711)) // Postgres does not run as root, and must reach what is in it
	pg := &cluster{dir: filepath.Join(dir, "pg")}
	t.Cleanup(func() {
		pg.stop(t)
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	return pg
}

func (c *cluster) run(t *testing.T, command string) (string, error) {
	t.Helper()
	// The test's context has ended when it cleans up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), testTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script, command, c.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", command, err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

// start starts the cluster and returns its URL.
func (c *cluster) start(t *testing.T) string {
	t.Helper()
	url, err := c.run(t, "start")
	if err != nil {
		t.Skipf("no Postgres of the test's own: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	must(t, "connect to the cluster", err)
	defer conn.Close(t.Context())
	return url
}

// stop ends it as an administrator does, once clients are cut off.
func (c *cluster) stop(t *testing.T) {
	t.Helper()
	if _, err := c.run(t, "stop"); err != nil {
		t.Errorf("stop the cluster: %v", err)
	}
}

// crash ends it at once, so that it has to recover.
func (c *cluster) crash(t *testing.T) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	must(t, "postmaster.pid", err)
	first, _, _ := strings.Cut(string(content), "\n")
	pid, err := strconv.Atoi(first)
	must(t, "postmaster.pid", err)
	must(t, "crash", syscall.Kill(pid, syscall.SIGQUIT))
	eventually(t, 30*time.Second, "Postgres has ended", func() bool {
		return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
	})
}
