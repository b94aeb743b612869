package pgcerts

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/rs/zerolog"

	"sotto/shared/pg"
	"sotto/shared/pg/pgtest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, url string) *Storage {
	t.Helper()
	s, err := Open(t.Context(), Options{URL: url, Log: zerolog.Nop()})
	must(t, err)
	t.Cleanup(s.Close)
	return s
}

// TestConformance holds certmagic's own storage in files to the same rules, which shows that they are the rules.
func TestConformance(t *testing.T) {
	for name, s := range map[string]certmagic.Storage{
		"files": &certmagic.FileStorage{Path: t.TempDir()}, "postgres": open(t, pgtest.Open(t)),
	} {
		t.Run(name, func(t *testing.T) { conform(t, s) })
	}
}

func conform(t *testing.T, s certmagic.Storage) {
	ctx := t.Context()
	_, err := s.Load(ctx, "a/b")
	wantMissing(t, "Load", err)
	_, err = s.Stat(ctx, "a/b")
	wantMissing(t, "Stat", err)
	if s.Exists(ctx, "a") {
		t.Error("something exists")
	}
	must(t, s.Delete(ctx, "a"))
	for _, key := range []string{"a/b", "a/c/d", "a/c/e", "ab/f"} {
		must(t, s.Store(ctx, key, []byte("old")))
		must(t, s.Store(ctx, key, []byte("new "+key)))
	}
	must(t, s.Store(ctx, "empty/x", nil))
	for key, want := range map[string]string{"a/b": "new a/b", "a/c/d": "new a/c/d", "empty/x": ""} {
		got, err := s.Load(ctx, key)
		if err != nil || string(got) != want {
			t.Errorf("Load %s: %q, %v", key, got, err)
		}
		info, err := s.Stat(ctx, key)
		if err != nil || info.Key != key || info.Size != int64(len(want)) || !info.IsTerminal || time.Since(info.Modified).Abs() > time.Hour {
			t.Errorf("Stat %s: %+v, %v", key, info, err)
		}
	}
	info, err := s.Stat(ctx, "a/c")
	if err != nil || info.IsTerminal {
		t.Errorf("Stat of a directory: %+v, %v", info, err)
	}
	list(t, s, "a", true, "a/b", "a/c", "a/c/d", "a/c/e")
	list(t, s, "a", false, "a/b", "a/c")
	list(t, s, "a/c", false, "a/c/d", "a/c/e")
	for _, key := range []string{"a", "a/c", "a/b", "ab"} {
		if !s.Exists(ctx, key) {
			t.Errorf("%s does not exist", key)
		}
	}
	must(t, s.Delete(ctx, "a/c"))
	list(t, s, "a", true, "a/b")
	must(t, s.Delete(ctx, "a/b"))
	if s.Exists(ctx, "a/b") || !s.Exists(ctx, "ab/f") {
		t.Error("Delete took something else")
	}
	_, err = s.List(ctx, "nothing", true)
	wantMissing(t, "List", err)
	conformConcurrently(t, s)
	must(t, s.Lock(ctx, "lock/it"))
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := s.Lock(short, "lock/it"); err == nil {
		t.Error("locked twice")
	}
	must(t, s.Lock(ctx, "another"))
	must(t, s.Unlock(ctx, "lock/it"))
	must(t, s.Lock(ctx, "lock/it"))
	must(t, s.Unlock(ctx, "lock/it"))
	must(t, s.Unlock(ctx, "another"))
	if err := s.Unlock(ctx, "never held"); err == nil {
		t.Error("gave up what it did not hold")
	}
}

// conformConcurrently shows that a value is always one that somebody has stored, whole.
func conformConcurrently(t *testing.T, s certmagic.Storage) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if err := s.Store(t.Context(), "shared/value", bytes.Repeat([]byte{byte(i)}, 10_000)); err != nil {
					t.Error(err)
				}
				got, err := s.Load(t.Context(), "shared/value")
				if err != nil || len(got) != 10_000 || !bytes.Equal(got, bytes.Repeat(got[:1], 10_000)) {
					t.Errorf("%d bytes of several values, %v", len(got), err)
				}
			}
		})
	}
	wg.Wait()
}

func wantMissing(t *testing.T, op string, err error) {
	t.Helper()
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s of what is not there: %v", op, err)
	}
}

func list(t *testing.T, s certmagic.Storage, path string, recursive bool, want ...string) {
	t.Helper()
	got, err := s.List(t.Context(), path, recursive)
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List %s, %v: %q, %v, want %q", path, recursive, got, err, want)
	}
}

func TestErrorsTellNothing(t *testing.T) {
	s := open(t, "postgres://user:secret@127.0.0.1:1/none?connect_timeout=1")
	err := s.Store(t.Context(), "private/key", []byte("content"))
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "private/key") {
		t.Errorf("the error is %v", err)
	}
	if _, err := Open(t.Context(), Options{URL: "postgres://user:secret@:x"}); !errors.Is(err, pg.ErrURL) {
		t.Errorf("a URL that is none: %v", err)
	}
}

// TestBounds: none of it reaches the database, which is not there.
func TestBounds(t *testing.T) {
	s := open(t, "postgres://user@127.0.0.1:1/none")
	for _, name := range []string{"", "/", strings.Repeat("a", maxName+1), "a\x00b", "a\xff"} {
		_, load := s.Load(t.Context(), name)
		_, stat := s.Stat(t.Context(), name)
		_, lock := s.TryLock(t.Context(), name)
		for _, err := range []error{s.Store(t.Context(), name, nil), load, stat, lock, s.Delete(t.Context(), name)} {
			if !errors.Is(err, errName) {
				t.Errorf("%.10q: %v", name, err)
			}
		}
	}
	if err := s.Store(t.Context(), "a", make([]byte, maxContent+1)); !errors.Is(err, errContent) {
		t.Error(err)
	}
}

// TestDatabaseComesLater opens the storage while the database is away.
func TestDatabaseComesLater(t *testing.T) {
	proxy := pgtest.NewProxy(t, pgtest.Open(t))
	proxy.Set(pgtest.Refuse)
	s := open(t, proxy.URL)
	if err := s.Store(t.Context(), "a", []byte("b")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stored nowhere: %v", err)
	}
	if _, err := s.Load(t.Context(), "a"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database that is away has no files: %v", err)
	}
	proxy.Set(pgtest.Pass)
	must(t, s.Store(t.Context(), "a", []byte("b")))
}

// TestNobodyWaitsForOthers: a database that says nothing holds up each caller only for its own time.
func TestNobodyWaitsForOthers(t *testing.T) {
	proxy := pgtest.NewProxy(t, pgtest.Open(t))
	proxy.Set(pgtest.Silent)
	s := open(t, proxy.URL)
	first, release := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Store(first, "a", nil)
	}()
	for len(s.migrating) == 0 { // until the first has begun
		time.Sleep(time.Millisecond)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Store(canceled, "a", nil); err == nil { // or the test hangs
		t.Error("stored nowhere")
	}
	release()
	<-done
}

func TestOwnSchema(t *testing.T) {
	url := pgtest.Open(t)
	pgtest.Exec(t, url, "CREATE TABLE schema_migrations (version integer); INSERT INTO schema_migrations VALUES (1000)")
	must(t, open(t, url).Store(t.Context(), "a", []byte("b")))
	if n := pgtest.Int(t, url, "SELECT count(*) FROM public.schema_migrations"); n != 1 {
		t.Errorf("the relay's own table has %d rows", n)
	}
}
