package pgcerts

import (
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

func TestOneHolder(t *testing.T) {
	url := pgtest.Open(t)
	var inside, rounds int // guarded by the lock under test
	var wg sync.WaitGroup
	for range 3 {
		s := open(t, url)
		wg.Go(func() {
			for range 3 {
				if err := s.Lock(t.Context(), "name"); err != nil {
					t.Error(err)
					return
				}
				if inside++; inside != 1 {
					t.Error("two hold the lock")
				}
				rounds++
				inside--
				if err := s.Unlock(t.Context(), "name"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if rounds != 9 {
		t.Errorf("%d rounds", rounds)
	}
}

func TestHolderDies(t *testing.T) {
	url := pgtest.Open(t)
	dead, alive := open(t, url), open(t, url)
	must(t, dead.Lock(t.Context(), "name"))
	dead.Close() // without Unlock, as in a crash
	if ok, err := alive.TryLock(t.Context(), "name"); ok || err != nil {
		t.Fatalf("taken at once: %v, %v", ok, err)
	}
	pgtest.Exec(t, url, "UPDATE certificates.locks SET expires = now() - interval '1 second'")
	must(t, alive.Lock(t.Context(), "name"))
	late := open(t, url)
	if err := late.renew(t.Context(), "name", [16]byte{1}, leaseTime); err != nil {
		t.Error(err)
	}
	if ok, err := late.TryLock(t.Context(), "name"); ok || err != nil {
		t.Errorf("two hold the lock: %v, %v", ok, err)
	}
	must(t, alive.Unlock(t.Context(), "name"))
	must(t, late.Lock(t.Context(), "name"))
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

func TestOwnSchema(t *testing.T) {
	url := pgtest.Open(t)
	pgtest.Exec(t, url, "CREATE TABLE schema_migrations (version integer); INSERT INTO schema_migrations VALUES (1000)")
	must(t, open(t, url).Store(t.Context(), "a", []byte("b")))
	if n := pgtest.Int(t, url, "SELECT count(*) FROM public.schema_migrations"); n != 1 {
		t.Errorf("the relay's own table has %d rows", n)
	}
}
