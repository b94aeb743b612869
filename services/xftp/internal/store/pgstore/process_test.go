package pgstore

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/store/storetest"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

func TestSecondProcess(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second process: %v", err)
	}
	create(t, s, storetest.NewBody(1))
	s.Close()
	openAt(t, Options{URL: url})
}

// A process that loses its lock to another stores nothing any more.
func TestTakenOver(t *testing.T) {
	url := pgtest.Open(t)
	log := new(relay.Output)
	s := openAt(t, Options{URL: url, Logger: zerolog.New(log)})
	body := storetest.NewBody(300_000)
	c := create(t, s, body)
	u := begin(t, s, c, body)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	next := owner.New(config, zerolog.Nop())
	got := make(chan error)
	go func() { got <- next.Acquire(t.Context()) }()
	for waiting := true; waiting; {
		pgtest.Int(t, url, killAll)
		select {
		case err := <-got:
			if err != nil {
				t.Skip("the old process was faster: it has its lock again") // rare, and right
			}
			waiting = false
		default:
		}
	}
	defer next.Release()
	if err := next.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Commit(t.Context()); !errors.Is(err, chunk.ErrUnavailable) {
		t.Fatalf("commit after the loss: %v", err)
	}
	<-s.Lost()
	if n := pgtest.Int(t, url, "SELECT count(body) FROM chunks"); n != 0 {
		t.Fatal("the old process has stored a body")
	}
	if _, err := s.BySender(t.Context(), c.SenderID); !errors.Is(err, chunk.ErrUnavailable) {
		t.Fatalf("look-up after the loss: %v", err)
	}
	if log.Count("has taken the database") != 1 {
		t.Error("the operator was not told once")
	}
}

func TestNewerSchema(t *testing.T) {
	url := pgtest.Open(t)
	from, to, err := Migrate(t.Context(), url)
	if err != nil || from != 0 || to < 1 {
		t.Fatalf("migrated from %d to %d: %v", from, to, err)
	}
	if from, again, err := Migrate(t.Context(), url); err != nil || from != to || again != to {
		t.Fatalf("a second time from %d to %d: %v", from, again, err)
	}
	pgtest.Exec(t, url, "INSERT INTO schema_migrations (version, name) VALUES (1000, 'future')")
	var newer *pg.NewerSchemaError
	if _, err := Open(t.Context(), Options{URL: url}); !errors.As(err, &newer) || newer.Have != 1000 {
		t.Fatalf("a newer schema: %v", err)
	}
	if _, _, err := Migrate(t.Context(), url); !errors.As(err, &newer) {
		t.Fatalf("a newer schema: %v", err)
	}
}

func TestNotDurable(t *testing.T) {
	for _, value := range []string{"off", "local", "remote_write"} {
		url := "postgres://nobody@localhost/none?synchronous_commit=" + value
		if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrNotDurable) {
			t.Errorf("%s: %v", value, err)
		}
	}
	if _, err := Open(t.Context(), Options{URL: "postgres://a:b c@/"}); !errors.Is(err, pg.ErrURL) {
		t.Errorf("a bad URL: %v", err)
	}
}

func TestClosed(t *testing.T) {
	s := openAt(t, Options{URL: pgtest.Open(t)})
	body := storetest.NewBody(300_000)
	c := create(t, s, body)
	u := begin(t, s, c, body)
	s.Close()
	s.Close()
	if err := u.Commit(t.Context()); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("commit: %v", err)
	}
	u.Abort()
	if err := s.Delete(t.Context(), c.Ref); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("delete: %v", err)
	}
	if _, err := s.Download(t.Context(), c); !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("download: %v", err)
	}
}

// Somebody else reads the tables of a period for long, as a dump does: its drop fails within a bound, look-ups and
// uploads go on meanwhile, and a later Expire drops it.
func TestDropWaits(t *testing.T) {
	url := pgtest.Open(t)
	var clock storetest.Clock
	clock.Advance(500_000 * time.Hour)
	s := openAt(t, Options{URL: url, TTL: storetest.TTL, Now: clock.Now, Wait: time.Second})
	body := storetest.NewBody(100_000)
	old := storetest.NewChunk(t, body, clock.Unix())
	if err := s.Create(t.Context(), old, nil); err != nil {
		t.Fatal(err)
	}
	if err := put(t, s, old, body); err != nil {
		t.Fatal(err)
	}
	dump, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.CloseConn(dump)
	if _, err := dump.Exec(t.Context(), "BEGIN; SELECT count(*) FROM "+(&period{start: int32(old.Ref & periodMask)}).table("pages")); err != nil {
		t.Fatal(err)
	}
	clock.Advance(2 * storetest.TTL)
	fresh := storetest.NewChunk(t, body, clock.Unix())
	dropped := make(chan error)
	go func() {
		_, err := s.Expire(context.WithoutCancel(t.Context()), clock.Unix())
		dropped <- err
	}()
	for pgtest.Int(t, url, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0 {
		select {
		case err := <-dropped:
			t.Fatalf("expire did not wait: %v", err)
		default:
		}
	}
	s.pool.Reset() // a connection that has not seen any table yet
	if err := s.Create(t.Context(), fresh, nil); err != nil {
		t.Errorf("create behind the drop: %v", err)
	}
	if err := put(t, s, fresh, body); err != nil {
		t.Errorf("upload behind the drop: %v", err)
	}
	wantRead(t, s, fresh, body)
	if _, err := s.BySender(t.Context(), old.SenderID); !errors.Is(err, chunk.ErrNotFound) {
		t.Errorf("look-up of what expired: %v", err)
	}
	if err := <-dropped; !errors.Is(err, chunk.ErrUnavailable) {
		t.Errorf("expire: %v", err)
	}
	if u := s.Usage(); u.Chunks != 2 || u.Bytes != 200_000 {
		t.Errorf("what was not dropped does not count: %+v", u)
	}
	if _, err := dump.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	n, err := s.Expire(t.Context(), clock.Unix())
	for range 30 { // the session of the first may linger, with its locks
		if !errors.Is(err, chunk.ErrUnavailable) {
			break
		}
		n, err = s.Expire(t.Context(), clock.Unix())
	}
	if n != 1 || err != nil {
		t.Errorf("expired %d, %v", n, err)
	}
	wantSettled(t, s, url)
}
