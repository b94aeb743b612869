package pgstore

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/storetest"
	"sotto/shared/pg"
	"sotto/shared/pg/pgtest"
)

// target is a chunk that a change is made to.
type target struct {
	*chunk.Chunk
	upload server.Upload
	first  []chunk.Recipient
	more   []chunk.Recipient
}

// lostAnswers are changes, and what counts 1 when the database has made them to the chunk with the sender $1.
var lostAnswers = []struct {
	op    string
	full  bool // has a body before
	do    func(ctx context.Context, s *Store, on target) error
	until string
}{
	{"commit", false, func(ctx context.Context, _ *Store, on target) error { return on.upload.Commit(ctx) }, "SELECT count(body) FROM chunks WHERE sender_id = $1"},
	{"add recipients", true, func(ctx context.Context, s *Store, on target) error { return s.AddRecipients(ctx, on.Ref, on.more) }, "SELECT count(*) - 1 FROM recipients JOIN chunks USING (ref) WHERE sender_id = $1"},
	{"remove recipient", true, func(ctx context.Context, s *Store, on target) error { return s.RemoveRecipient(ctx, on.first[0].ID) }, "SELECT 1 - count(*) FROM recipients JOIN chunks USING (ref) WHERE sender_id = $1"},
	{"create", true, func(ctx context.Context, s *Store, on target) error {
		on.SenderID = chunk.ID(bytes.Repeat(on.SenderID[:1], chunk.IDSize))
		return s.Create(ctx, on.Chunk, on.more)
	}, "SELECT count(*) FROM chunks WHERE sender_id = decode(repeat(encode(substr($1::bytea, 1, 1), 'hex'), 16), 'hex')"},
	{"block", true, func(ctx context.Context, s *Store, on target) error {
		return s.Block(ctx, on.Ref, chunk.Blocking{Reason: "spam"})
	}, "SELECT count(*) FROM chunks WHERE sender_id = $1 AND blocked"},
	{"delete", true, func(ctx context.Context, s *Store, on target) error { return s.Delete(ctx, on.Ref) }, "SELECT 1 - count(*) FROM chunks WHERE sender_id = $1"},
}

// The answer to a change is lost after the database has made it: it happened, once.
func TestLostAnswer(t *testing.T) {
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	s := openAt(t, Options{URL: proxy.URL, Wait: 30 * time.Second})
	body := storetest.NewBody(300_000)
	for _, one := range lostAnswers {
		t.Run(one.op, func(t *testing.T) {
			newTarget := func() target {
				on := target{first: storetest.NewRecipients(t, 1), more: storetest.NewRecipients(t, 1)}
				on.Chunk = create(t, s, body, on.first...)
				on.upload = begin(t, s, on.Chunk, body)
				if one.full {
					if err := on.upload.Commit(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				return on
			}
			first, on := newTarget(), newTarget()
			// The statements are prepared by doing it before, so that only their execution is waited for.
			if err := one.do(t.Context(), s, first); err != nil {
				t.Fatal(err)
			}
			sender := on.SenderID
			release := block(t, url)
			done := make(chan error)
			go func() { done <- one.do(t.Context(), s, on) }()
			for pgtest.Int(t, url, "SELECT count(*) FROM pg_locks WHERE NOT granted") == 0 {
			}
			proxy.Set(pgtest.Mute)
			release()
			for pgtest.Int(t, url, one.until, sender[:]) != 1 {
			}
			proxy.Set(pgtest.Refuse)
			proxy.Set(pgtest.Pass)
			if err := <-done; err != nil {
				t.Error(err)
			}
			wantSettled(t, s, url)
		})
	}
}

// block lets every change of records wait until release is called. Reading goes on.
func block(t *testing.T, url string) (release func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE chunks, recipients IN SHARE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() { pg.CloseConn(conn) }
}

// A page that a crash of the database forgot is noticed by the commit.
func TestLostPages(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	body := storetest.NewBody(700_000)
	c := create(t, s, body)
	u := begin(t, s, c, body)
	pgtest.Exec(t, url, "DELETE FROM pages WHERE no = 3")
	if err := u.Commit(t.Context()); !errors.Is(err, errLost) {
		t.Fatalf("commit: %v", err)
	}
	wantSettled(t, s, url)
	if err := put(t, s, c, body); err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, c, body)
}
