package e2e

import (
	"context"
	"os/exec"
	"testing"

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
	pg := pgtest.NewCluster(t)
	r := newRelay(t, pg.Start(t))
	start(t, r)
	outages := []struct {
		name string
		stop func(testing.TB)
	}{{"stop", pg.Stop}, {"crash", pg.Crash}, {"crash", pg.Crash}}
	disturbed(t, r, pairs(t, r, 12, 50), len(outages), func(i int) {
		from := r.Stderr.Len()
		outages[i].stop(t)
		waitFor(t, r, from, saysGone)
		pg.Start(t)
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
	pg := pgtest.NewCluster(t)
	r := newRelay(t, pg.Start(t), "SMP_STORE_TIMEOUT=1s")
	start(t, r)
	disturbed(t, r, pairs(t, r, 4, 20), 1, func(int) {
		from := r.Stderr.Len()
		pg.Crash(t)
		waitFor(t, r, from, saysGone)
		health := exec.CommandContext(t.Context(), r.Binary, "health")
		health.Env = r.Env
		if out, err := health.CombinedOutput(); err == nil {
			t.Errorf("healthy without a database: %s", out)
		}
		pg.Start(t)
		waitFor(t, r, from, saysBack)
	})
}

// TestOutcomesUnknown crashes Postgres under a relay with so little patience that it gives up many operations without
// knowing whether they were done.
func TestOutcomesUnknown(t *testing.T) {
	relayBinary(t)
	pg := pgtest.NewCluster(t)
	r := newRelay(t, pg.Start(t), "SMP_STORE_TIMEOUT=150ms")
	start(t, r)
	disturbed(t, r, pairs(t, r, 12, 60), 5, func(int) {
		pg.Crash(t)
		pg.Start(t)
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
