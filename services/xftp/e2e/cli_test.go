package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/pg/pgtest"
)

// TestBanner starts a relay with most things set, and reads what it says before the first client.
func TestBanner(t *testing.T) {
	r := startRelay(t, "XFTP_CREATE_PASSWORD=s3cret", "XFTP_LOG_LEVEL=info", "XFTP_STORAGE_QUOTA=1.5tb")
	said := r.Stdout.String() + r.Stderr.String()
	if n := strings.Count(said, "\n"); n >= 20 {
		t.Errorf("it starts with %d lines", n)
	}
	for _, word := range []string{
		"127.0.0.1:" + r.Port, "xftp://", "postgres", "0 bytes used of 1.5 TB, kept for 48h", "those who know the password", "none that browsers trust",
	} {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not said", word)
		}
	}
	if strings.Contains(said, "s3cret") {
		t.Error("the password is printed to what may be a file")
	}
	t.Logf("the relay says:\n%s", said)
}

func TestHealth(t *testing.T) {
	r := startRelay(t)
	health := func() run { return command(t, r.Env, "health") }
	health().expect(t, exitOK, "ready")
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	health().expect(t, exitError, "not ready")
	start(t, r)
	health().expect(t, exitOK)
	elsewhere := append(append([]string(nil), r.Env...), "XFTP_DATA_DIR="+filepath.Join(t.TempDir(), "other"))
	command(t, elsewhere, "init").expect(t, exitOK)
	command(t, elsewhere, "health").expect(t, exitError)
}

// TestTry tests a relay as the app does, also one that wants a password.
func TestTry(t *testing.T) {
	r := startRelay(t, "XFTP_CREATE_PASSWORD=s3cret")
	plain := server(t, r).String()
	command(t, nil, "try", plain).expect(t, exitError, "needs a password")
	command(t, nil, "try", strings.Replace(plain, "@", ":wrong@", 1)).expect(t, exitError, "password in the address is wrong")
	command(t, nil, "try", strings.Replace(plain, "@", ":s3cret@", 1)).expect(t, exitOK, "The relay works", "4 MB", "delete it (FDEL)")
	command(t, nil, "try", "xftp://nonsense").expect(t, exitError, "no relay address")
}

// TestMigrate brings a database up to date without a relay, and refuses one that a later version has migrated.
func TestMigrate(t *testing.T) {
	url := newDatabase(t)
	env := []string{"XFTP_DATABASE_URL=" + url}
	command(t, env, "migrate").expect(t, exitOK, "from version 0")
	command(t, env, "migrate").expect(t, exitOK, "already")
	pgtest.Exec(t, url, "INSERT INTO schema_migrations (version, name) VALUES (1000, 'from_the_future')")
	command(t, env, "migrate").expect(t, exitError, "schema version 1000")
	command(t, append(env, "XFTP_LISTEN=127.0.0.1:0", "XFTP_DATA_DIR="+t.TempDir()), "serve").expect(t, exitError, "schema version 1000")
}

// TestDatabaseURL: mistakes in it are told without quoting it.
func TestDatabaseURL(t *testing.T) {
	relayBinary(t)
	for _, url := range []string{"nonsense://s3cret", "postgres://u:s3cret@127.0.0.1:1/x?synchronous_commit=off"} {
		r := command(t, []string{"XFTP_DATABASE_URL=" + url, "XFTP_LISTEN=127.0.0.1:0", "XFTP_DATA_DIR=" + t.TempDir()}, "serve")
		r.expect(t, exitUsage, "XFTP_DATABASE_URL")
		if strings.Contains(r.stdout+r.stderr, "s3cret") {
			t.Errorf("the URL is quoted: %s", r.stderr)
		}
	}
}

// TestSettings starts relays whose settings change what clients may do.
func TestSettings(t *testing.T) {
	ctx := bounded(t)
	closed := startRelay(t, "XFTP_NEW_FILES=false")
	if err := newChunk(64<<10).register(ctx, dial(t, closed, client.Options{})); err == nil {
		t.Error("a chunk was registered, which is not allowed")
	}
	sizes := startRelay(t, "XFTP_CHUNK_SIZES=128kb")
	c := dial(t, sizes, client.Options{})
	if err := newChunk(64<<10).register(ctx, c); err == nil {
		t.Error("a chunk was registered of a size that is not allowed")
	}
	upload(ctx, t, c, 128<<10)
}
