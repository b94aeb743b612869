package pgstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/store/storetest"
	"sotto/shared/pg/pgtest"
)

// benchPiece is how many bytes an upload is given at a time.
const benchPiece = 64 << 10

// bodies are stored in and read from a store. All have the same bytes.
type bodies struct {
	*Store
	body       []byte
	chunk      chunk.Chunk
	recipients []chunk.Recipient
}

func newBodies(b *testing.B) *bodies {
	b.Helper()
	body := storetest.NewBody(benchSize)
	return &bodies{
		Store:      openAt(b, Options{URL: pgtest.Open(b)}),
		body:       body,
		chunk:      *storetest.NewChunk(b, body, time.Now().Unix()),
		recipients: storetest.NewRecipients(b, 1),
	}
}

// up stores a new chunk with its body. Keys and digests are not made anew: those are not the store's work.
func (x *bodies) up(ctx context.Context) (*chunk.Chunk, error) {
	c := x.chunk
	c.SenderID = storetest.RandomID()
	recipients := []chunk.Recipient{{ID: storetest.RandomID(), Key: x.recipients[0].Key}}
	if err := x.Create(ctx, &c, recipients); err != nil {
		return nil, err
	}
	u, err := x.Upload(ctx, &c)
	if err != nil {
		return nil, err
	}
	defer u.Abort()
	for from := 0; from < benchSize; from += benchPiece {
		if _, err := u.Write(x.body[from : from+benchPiece]); err != nil {
			return nil, err
		}
	}
	return &c, u.Commit(ctx)
}

// down reads the body of c.
func (x *bodies) down(ctx context.Context, c *chunk.Chunk) error {
	d, err := x.Download(ctx, c)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, d) // by WriteTo
	if err == nil && n != benchSize {
		err = errors.New("the body is too short")
	}
	return errors.Join(err, d.Close())
}

func BenchmarkUpload(b *testing.B) {
	for _, callers := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			x := newBodies(b)
			concurrently(b, callers, func() error {
				_, err := x.up(b.Context())
				return err
			})
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	for _, callers := range []int{1, 4, 16} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			x := newBodies(b)
			var stored [16]*chunk.Chunk
			for i := range stored {
				c, err := x.up(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				stored[i] = c
			}
			var next atomic.Int64
			concurrently(b, callers, func() error {
				return x.down(b.Context(), stored[next.Add(1)%int64(len(stored))])
			})
		})
	}
}

// expireChunks is how many chunks expire at once. Each has one recipient and one page.
const expireChunks = 100_000

// fillPeriod puts chunks into the tables of period %[1]d, with numbers that the store is far from. An autovacuum would
// add to what is measured.
const fillPeriod = `SET synchronous_commit = off;
	ALTER TABLE chunks_%[1]d SET (autovacuum_enabled = off);
	ALTER TABLE recipients_%[1]d SET (autovacuum_enabled = off);
	ALTER TABLE pages_%[1]d SET (autovacuum_enabled = off);
	CREATE TEMPORARY TABLE fill AS
		SELECT g AS body, g << 24 | %[1]d AS ref, uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) AS random
		FROM generate_series(1::bigint << 30, (1::bigint << 30) + %[2]d - 1) g;
	INSERT INTO chunks_%[1]d (period, ref, body, size, created, sender_id, sender_key, digest)
		SELECT %[1]d, ref, body, 100, %[1]d * 3600::bigint, substr(random, 1, 24), random || substr(random, 1, 12), random FROM fill;
	INSERT INTO recipients_%[1]d (period, ref, recipient_id, key)
		SELECT %[1]d, ref, substr(random, 9, 24), random || substr(random, 1, 12) FROM fill;
	INSERT INTO pages_%[1]d (period, body, no, data)
		SELECT %[1]d, body, 0, random || random || random || substr(random, 1, 4) FROM fill`

// deletePeriod is the way to expire chunks that the store does not go, at its cheapest: without looking for them.
const deletePeriod = `BEGIN; DELETE FROM pages_%[1]d; DELETE FROM recipients_%[1]d; DELETE FROM chunks_%[1]d; COMMIT`

// full is a store with two periods of as many chunks. The first has expired, and nothing else is left for Expire to do.
type full struct {
	*Store
	url         string
	now         int64
	first, next int32 // the periods
}

func newFull(b *testing.B) *full {
	b.Helper()
	var clock storetest.Clock
	clock.Advance(500_000 * time.Hour)
	x := &full{url: pgtest.Open(b)}
	o := Options{URL: x.url, TTL: storetest.TTL, Now: clock.Now}
	empty := openAt(b, o)
	x.first = fillNew(b, empty, clock.Unix())
	x.next = fillNew(b, empty, clock.Unix()+int64(empty.periods.length)*chunk.Hour)
	empty.Close()

	expiry := int64(x.first+empty.periods.length)*chunk.Hour + int64(storetest.TTL/time.Second) + chunk.Hour
	clock.Advance(time.Duration(expiry-1-clock.Unix()) * time.Second)
	x.Store = openAt(b, o)
	if n, err := x.Expire(b.Context(), clock.Unix()); n != 0 || err != nil {
		b.Fatalf("expire a second early: %d, %v", n, err)
	}
	clock.Advance(time.Second)
	x.now = clock.Unix()
	return x
}

// fillNew fills the period of chunks created then, which it makes.
func fillNew(b *testing.B, s *Store, created int64) int32 {
	b.Helper()
	p, err := s.period(b.Context(), created)
	if err != nil {
		b.Fatal(err)
	}
	pgtest.Exec(b, s.options.URL, fmt.Sprintf(fillPeriod, p.start, expireChunks))
	return p.start
}

// cost is what something took.
type cost struct {
	time time.Duration
	wal  int64 // bytes of the whole server's write-ahead log
}

// walPosition counts from the beginning of the log, and includes what is not written out yet.
const walPosition = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"

// add does something once more, right after a checkpoint: what expires has lain there for long, so that a page is logged
// as a whole when it is first changed.
func (c *cost) add(b *testing.B, url string, do func() error) {
	b.Helper()
	pgtest.Exec(b, url, "CHECKPOINT")
	before := pgtest.Int(b, url, walPosition)
	begin := time.Now()
	b.StartTimer()
	err := do()
	b.StopTimer()
	c.time += time.Since(begin)
	c.wal += pgtest.Int(b, url, walPosition) - before
	if err != nil {
		b.Fatal(err)
	}
}

func (c *cost) report(b *testing.B, name string) {
	b.Helper()
	b.ReportMetric(float64(c.time.Microseconds())/1000/float64(b.N), name+"-ms")
	b.ReportMetric(float64(c.wal)/1024/float64(b.N), name+"-WAL-KB")
}

// BenchmarkExpire compares dropping a period with deleting its rows. Deleted rows still lie on the disk until a vacuum,
// which is not measured. Other work of the server would be: it must be idle otherwise.
func BenchmarkExpire(b *testing.B) {
	var drop, remove cost
	for b.Loop() {
		b.StopTimer()
		x := newFull(b)
		remove.add(b, x.url, func() error {
			conn, err := x.pool.Acquire(b.Context())
			if err != nil {
				return err
			}
			defer conn.Release()
			_, err = conn.Conn().PgConn().Exec(b.Context(), fmt.Sprintf(deletePeriod, x.next)).ReadAll()
			return err
		})
		drop.add(b, x.url, func() error { return x.expireFirst(b.Context()) })
		x.wantEmpty(b)
		x.Close()
		b.StartTimer()
	}
	drop.report(b, "drop")
	remove.report(b, "delete")
	b.ReportMetric(float64(remove.time)/float64(drop.time), "delete/drop")
	b.ReportMetric(0, "ns/op") // of both together, which says nothing
}

// expireFirst drops the first period.
func (x *full) expireFirst(ctx context.Context) error {
	n, err := x.Expire(ctx, x.now)
	if err == nil && n != expireChunks {
		err = fmt.Errorf("%d chunks expired of %d", n, expireChunks)
	}
	return err
}

// wantEmpty checks that both periods' chunks, recipients and pages are gone.
func (x *full) wantEmpty(b *testing.B) {
	b.Helper()
	for _, table := range []string{"chunks", "recipients", "pages"} {
		if n := pgtest.Int(b, x.url, "SELECT count(*) FROM "+table); n != 0 {
			b.Errorf("%d rows are left in %s", n, table)
		}
	}
}
