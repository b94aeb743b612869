package pgstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/storetest"
	"sotto/shared/pg"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// killAll ends all connections of the store, as an operator or a restart of the server does.
const killAll = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
	WHERE datname = current_database() AND application_name = 'sotto-xftp'`

// create stores a new chunk for body.
func create(t testing.TB, s *Store, body []byte, recipients ...chunk.Recipient) *chunk.Chunk {
	t.Helper()
	c := storetest.NewChunk(t, body, time.Now().Unix())
	if err := s.Create(t.Context(), c, recipients); err != nil {
		t.Fatal(err)
	}
	return c
}

// begin begins an upload and writes body.
func begin(t testing.TB, s *Store, c *chunk.Chunk, body []byte) server.Upload {
	t.Helper()
	u, err := s.Upload(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(body); err != nil {
		t.Fatal(err)
	}
	return u
}

// put gives c its body.
func put(t testing.TB, s *Store, c *chunk.Chunk, body []byte) error {
	u, err := s.Upload(t.Context(), c)
	if err != nil {
		return err
	}
	defer u.Abort()
	if _, err := u.Write(body); err != nil {
		return err
	}
	return u.Commit(t.Context())
}

// read downloads the body of c.
func read(t testing.TB, s *Store, c *chunk.Chunk) ([]byte, error) {
	r, err := s.Download(t.Context(), c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// wantRead fails the test unless c has this body.
func wantRead(t testing.TB, s *Store, c *chunk.Chunk, body []byte) {
	t.Helper()
	got, err := read(t, s, c)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("read %d bytes, %v", len(got), err)
	}
}

// wantSettled waits until nothing is unfinished and memory counts what the database holds, and fails the test if that
// does not come.
func wantSettled(t testing.TB, s *Store, url string) {
	t.Helper()
	deadline := time.Now().Add(storetest.Patience / 4)
	for {
		left := pgtest.Int(t, url, strays)
		chunks := pgtest.Int(t, url, "SELECT count(body) FROM chunks")
		size := pgtest.Int(t, url, "SELECT coalesce(sum(length(data)), 0)::bigint FROM pages")
		u := s.Usage()
		if left == 0 && u.Reserved == 0 && u.Chunks == chunks && u.Bytes == size {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d chunks of %d bytes and %d rows of none are stored, and counted is %+v", chunks, size, left, u)
		}
	}
}

// traffic uploads chunks again and again, reads and deletes some, and keeps what was answered.
type traffic struct {
	s    *Store
	body []byte

	mu      sync.Mutex
	stored  []*chunk.Chunk
	refused int
}

func (tr *traffic) run(t *testing.T, callers int, stop <-chan struct{}) {
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := tr.once(t, n); errors.Is(err, chunk.ErrUnavailable) {
					tr.mu.Lock()
					tr.refused++
					tr.mu.Unlock()
				} else if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

func (tr *traffic) once(t *testing.T, n int) error {
	c := storetest.NewChunk(t, tr.body, time.Now().Unix())
	if err := tr.s.Create(t.Context(), c, nil); err != nil {
		return fmt.Errorf("create: %w", err)
	}
	if err := put(t, tr.s, c, tr.body); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if n%3 == 0 {
		return tr.s.Delete(t.Context(), c.Ref)
	}
	tr.mu.Lock()
	tr.stored = append(tr.stored, c)
	tr.mu.Unlock()
	got, err := read(t, tr.s, c)
	if err == nil && !bytes.Equal(got, tr.body) {
		return errors.New("another body than was stored")
	}
	return err
}

// check fails the test unless all that was answered is there.
func (tr *traffic) check(t *testing.T, url string) {
	t.Helper()
	t.Logf("%d chunks stored, %d refused", len(tr.stored), tr.refused)
	if len(tr.stored) == 0 {
		t.Error("no traffic")
	}
	for _, c := range tr.stored {
		wantRead(t, tr.s, c, tr.body)
	}
	wantSettled(t, tr.s, url)
}

// All connections are cut again and again during transfers.
func TestKilledConnections(t *testing.T) {
	url := pgtest.Open(t)
	tr := &traffic{s: openAt(t, Options{URL: url}), body: storetest.NewBody(700_000)}
	stop := make(chan struct{})
	killed := int64(0)
	go func() {
		defer close(stop)
		for range 20 {
			pg.Pause(t.Context(), 50*time.Millisecond)
			killed += pgtest.Int(t, url, killAll)
		}
	}()
	tr.run(t, 4, stop)
	tr.check(t, url)
	t.Logf("%d connections were cut", killed)
}

// The database is away for shorter than Wait: everything waits, nothing fails.
func TestShortOutage(t *testing.T) {
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	tr := &traffic{s: openAt(t, Options{URL: proxy.URL, Wait: 30 * time.Second}), body: storetest.NewBody(700_000)}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for _, how := range []pgtest.Mode{pgtest.Refuse, pgtest.Silent, pgtest.Mute, pgtest.Refuse} {
			proxy.Set(how)
			pg.Pause(t.Context(), 300*time.Millisecond)
			proxy.Set(pgtest.Refuse)
			proxy.Set(pgtest.Pass)
			pg.Pause(t.Context(), 500*time.Millisecond)
		}
	}()
	tr.run(t, 2, stop)
	tr.check(t, url)
	if tr.refused > 0 {
		t.Errorf("%d operations were refused", tr.refused)
	}
}

// The database is away for longer than Wait: operations fail within a bound, and what they leave is put in order when
// the database is back.
func TestLongOutage(t *testing.T) {
	for name, how := range map[string]pgtest.Mode{"refused": pgtest.Refuse, "silent": pgtest.Silent, "answers lost": pgtest.Mute} {
		t.Run(name, func(t *testing.T) { testLongOutage(t, how) })
	}
}

func testLongOutage(t *testing.T, how pgtest.Mode) {
	const limit = 500 * time.Millisecond
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	log := new(relay.Output)
	s := openAt(t, Options{URL: proxy.URL, Wait: limit, Logger: zerolog.New(log)})
	body := storetest.NewBody(700_000)
	rs := storetest.NewRecipients(t, 1)
	kept, going, waiting := create(t, s, body, rs...), create(t, s, body), create(t, s, body)
	written, half, aborted := create(t, s, body), create(t, s, body), create(t, s, body)
	for _, c := range []*chunk.Chunk{kept, going} {
		if err := put(t, s, c, body); err != nil {
			t.Fatal(err)
		}
	}
	commits := begin(t, s, written, body)
	writes := begin(t, s, half, body[:1000])
	aborts := begin(t, s, aborted, body)
	proxy.Set(how)
	begun := time.Now()
	var wait sync.WaitGroup
	for op, do := range map[string]func() error{
		"commit": func() error { return commits.Commit(t.Context()) },
		"write":  func() error { _, err := writes.Write(body[1000:]); writes.Abort(); return err },
		"abort":  func() error { aborts.Abort(); return chunk.ErrUnavailable },
		"upload": func() error { _, err := s.Upload(t.Context(), waiting); return err },
		"create": func() error {
			return s.Create(t.Context(), storetest.NewChunk(t, body, time.Now().Unix()), storetest.NewRecipients(t, 1))
		},
		"add recipients": func() error { return s.AddRecipients(t.Context(), kept.Ref, storetest.NewRecipients(t, 1)) },
		"delete":         func() error { return s.Delete(t.Context(), going.Ref) },
		"download":       func() error { _, err := s.Download(t.Context(), kept); return err },
		"by sender":      func() error { _, err := s.BySender(t.Context(), kept.SenderID); return err },
		"by recipient":   func() error { _, _, err := s.ByRecipient(t.Context(), rs[0].ID); return err },
	} {
		wait.Go(func() {
			if err := do(); !errors.Is(err, chunk.ErrUnavailable) {
				t.Errorf("%s: %v", op, err)
			}
		})
	}
	wait.Wait()
	if took := time.Since(begun); took > 4*limit+3*time.Second {
		t.Errorf("errors came after %v", took)
	}
	if gone, back := log.Count("database is away"), log.Count("database is back"); gone != 1 || back != 0 {
		t.Errorf("the log says %d times that the database is away and %d times that it is back", gone, back)
	}
	proxy.Set(pgtest.Refuse)
	proxy.Set(pgtest.Pass)
	recovered(t, s)
	wantRead(t, s, kept, body)
	wantSettled(t, s, url)
	for _, c := range []*chunk.Chunk{waiting, half, aborted} {
		if err := put(t, s, c, body); err != nil {
			t.Errorf("upload after the outage: %v", err)
		}
		wantRead(t, s, c, body)
	}
	// The commit that failed may have been carried out since, then as a whole.
	if err := put(t, s, written, body); err != nil && !errors.Is(err, chunk.ErrUploaded) {
		t.Errorf("upload after the outage: %v", err)
	}
	wantRead(t, s, written, body)
	wantSettled(t, s, url)
	// On a machine that is busy, the first connections after an outage may be slow enough to be told as another.
	if gone, back := log.Count("database is away"), log.Count("database is back"); back < 1 || back != gone {
		t.Errorf("the log says %d times that the database is away and %d times that it is back", gone, back)
	}
}

// recovered waits until look-ups work again.
func recovered(t *testing.T, s *Store) {
	t.Helper()
	for range 100 {
		if _, err := s.BySender(t.Context(), storetest.RandomID()); errors.Is(err, chunk.ErrNotFound) {
			return
		}
	}
	t.Fatal("the store does not recover")
}

// diskIsFull lets every store of pages of one body fail as on a disk that is full, from its second batch on.
const diskIsFull = `CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN IF NEW.no > 40 AND NEW.body = (SELECT min(body) FROM uploads) THEN RAISE 'full' USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$;
	CREATE TRIGGER full_disk BEFORE INSERT ON pages FOR EACH ROW EXECUTE FUNCTION full_disk()`

// A full disk ends one upload with an error that is not chunk.ErrUnavailable, at once; another goes on.
func TestFullDisk(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url, Quota: 3 << 20})
	body := storetest.NewBody(1 << 20)
	c, other := create(t, s, body), create(t, s, body)
	u, v := begin(t, s, c, body[:1]), begin(t, s, other, body[:1])
	pgtest.Exec(t, url, diskIsFull)
	_, err := u.Write(body[1:])
	if pg.Code(err) != diskFull || errors.Is(err, chunk.ErrUnavailable) {
		t.Fatalf("write: %v", err)
	}
	if err := u.Commit(t.Context()); err == nil {
		t.Fatal("commit after a failed write")
	}
	if reserved := s.Usage().Reserved; reserved != 1<<20 {
		t.Errorf("%d bytes are reserved, and one upload is going on", reserved)
	}
	pgtest.Exec(t, url, "DROP TRIGGER full_disk ON pages")
	if _, err := v.Write(body[1:]); err != nil {
		t.Fatal(err)
	}
	if err := v.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, other, body)
	wantSettled(t, s, url)
	if err := put(t, s, c, body); err != nil {
		t.Fatal(err)
	}
	wantRead(t, s, c, body)
}
