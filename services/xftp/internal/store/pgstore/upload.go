package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/shared/pg"
)

// abortPatience is how long a caller waits until what it wrote is gone, before that is left to the background.
const abortPatience = time.Second

// Errors of uploads.
var (
	errLong  = errors.New("body is longer than the chunk")
	errShort = errors.New("body is shorter than the chunk")
	errEnded = errors.New("upload has ended")
	// errLost: the database crashed and forgot pages, which it may until the commit.
	errLost = errors.New("pages of the body were lost")
)

// upload is a body on its way into the database, under a number of its own.
type upload struct {
	store  *Store
	ctx    context.Context // of the calls that Write makes
	period *period
	ref    chunk.Ref
	body   int64 // its number
	size   int64
	got    int64 // bytes written
	batch  *batch
	page   int32 // the next
	err    error // of the write that failed
	ended  bool
}

// journalUpload makes the row of the journal. It need not be durable: it comes before the pages, so that a crash that
// forgets it forgets them too.
const journalUpload = `WITH c AS MATERIALIZED (SELECT body, blocked FROM %[1]s WHERE period = $1 AND ref = $2 AND created >= $4),
	j AS (INSERT INTO %[2]s (period, body) SELECT $1, $3 FROM c WHERE body IS NULL AND NOT blocked ON CONFLICT DO NOTHING)
	SELECT body IS NOT NULL, blocked, set_config('synchronous_commit', 'off', true) FROM c`

// Upload reserves room for the body of c and begins to store it.
func (s *Store) Upload(ctx context.Context, c *chunk.Chunk) (server.Upload, error) {
	p, err := s.periods.of(c.Ref)
	if err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	u := &upload{store: s, ctx: ctx, period: p, ref: c.Ref, size: int64(c.Size)}
	if err := s.usage.reserve(u.size); err != nil {
		return nil, s.full(ctx, u, err)
	}
	err = s.retry(ctx, "upload", u.journal)
	switch {
	case err == nil:
		return u, nil
	case answer(err) != nil || u.body == 0: // certainly without a row
		s.usage.release(u.size)
	default:
		u.discard()
	}
	return nil, err
}

// full says why there is no room for u, or what comes before that.
func (s *Store) full(ctx context.Context, u *upload, full error) error {
	return s.retry(ctx, "upload", func(ctx context.Context) error {
		var h held
		err := s.hold(ctx, u.period, u.ref, &h)
		switch {
		case err != nil:
			return err
		case h.blocked:
			return chunk.ErrNotFound
		case h.body != nil:
			return chunk.ErrUploaded
		default:
			return full
		}
	})
}

func (u *upload) journal(ctx context.Context) (err error) {
	s := u.store
	if u.body == 0 {
		if u.body, err = s.number(ctx); err != nil {
			return err
		}
	}
	var uploaded, blocked bool
	statement := fmt.Sprintf(journalUpload, u.period.table("chunks"), u.period.table("uploads"))
	err = s.pool.QueryRow(ctx, statement, u.period.start, int64(u.ref), u.body, s.oldest()).Scan(&uploaded, &blocked, nil)
	switch {
	case errors.Is(err, pgx.ErrNoRows) || err == nil && blocked:
		return chunk.ErrNotFound
	case err == nil && uploaded:
		return chunk.ErrUploaded
	default:
		return err
	}
}

// Write adds bytes at the end.
func (u *upload) Write(b []byte) (n int, err error) {
	switch {
	case u.ended:
		return 0, errEnded
	case u.err != nil:
		return 0, u.err
	case u.got+int64(len(b)) > u.size:
		return 0, errLong
	}
	for len(b) > 0 {
		if u.batch == nil {
			u.batch = newBatch(u.period, u.body, u.page)
		}
		taken := u.batch.add(b)
		b = b[taken:]
		n += taken
		u.got += int64(taken)
		if u.batch.full() {
			if err := u.flush(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// flush stores the pages that have come together.
func (u *upload) flush() error {
	if u.batch == nil {
		return nil
	}
	u.batch.end()
	if u.err = u.store.storePages(u.ctx, u.batch); u.err != nil {
		return u.err
	}
	u.page += int32(u.batch.rows)
	u.batch.free()
	u.batch = nil
	return nil
}

// attachBody gives a chunk its body and removes the row of the journal, if all pages are there.
const attachBody = `WITH j AS MATERIALIZED (SELECT FROM %[1]s WHERE period = $1 AND body = $3 FOR UPDATE),
	n AS MATERIALIZED (SELECT count(*) AS pages FROM %[2]s WHERE period = $1 AND body = $3),
	c AS (UPDATE %[3]s SET body = $3 WHERE period = $1 AND ref = $2 AND body IS NULL AND NOT blocked AND created >= $5
		AND EXISTS (SELECT FROM j) AND (SELECT pages FROM n) = $4 RETURNING ref),
	d AS (DELETE FROM %[1]s WHERE period = $1 AND body = $3 AND EXISTS (SELECT FROM c))
	SELECT EXISTS (SELECT FROM c), coalesce(o.body = $3, false), o.ref IS NULL OR o.blocked, o.body IS NOT NULL
	FROM (SELECT) one LEFT JOIN %[3]s o ON o.period = $1 AND o.ref = $2 AND o.created >= $5`

// Commit makes the body the chunk's. Its commit is the one that is waited for: what was written to the log before,
// and that are all pages, is on the disk then too.
func (u *upload) Commit(ctx context.Context) error {
	if u.ended {
		return fmt.Errorf("commit body: %w", errEnded)
	}
	err := u.err
	if err == nil && u.got != u.size {
		err = fmt.Errorf("commit body: %w", errShort)
	}
	if err == nil {
		err = u.flush()
	}
	if err != nil {
		u.Abort()
		return err
	}
	u.ended = true
	discarding := make(chan (<-chan struct{}), 1)
	err = u.store.alone(ctx, u.ref, change{op: "commit body", do: u.attach, done: func(err error) {
		if err != nil {
			discarding <- u.discard()
			return
		}
		u.store.usage.stored(u.period, u.size)
	}})
	select {
	case discarded := <-discarding:
		await(discarded)
	default: // it was stored, or its fate is not known yet
	}
	return err
}

func (u *upload) attach(ctx context.Context, _ bool) error {
	s := u.store
	statement := fmt.Sprintf(attachBody, u.period.table("uploads"), u.period.table("pages"), u.period.table("chunks"))
	var attached, before, gone, other bool
	err := s.pool.QueryRow(ctx, statement, u.period.start, int64(u.ref), u.body, u.page, s.oldest()).
		Scan(&attached, &before, &gone, &other)
	switch {
	case err != nil:
		return err
	case attached || before:
		return nil
	case gone:
		return chunk.ErrNotFound
	case other:
		return chunk.ErrUploaded
	default:
		return errLost
	}
}

// Abort drops what was written. Called after Commit or another Abort, it does nothing.
func (u *upload) Abort() {
	if u.ended {
		return
	}
	u.ended = true
	await(u.discard())
}

// await waits for discarded, but not for a database that is away.
func await(discarded <-chan struct{}) {
	timer := time.NewTimer(abortPatience)
	defer timer.Stop()
	select {
	case <-discarded:
	case <-timer.C:
	}
}

// discardPages removes the pages of a body, and then the row of the journal. It need not be durable: after a crash
// that forgets it, the row is there again.
const discardPages = `WITH b AS (DELETE FROM %[1]s WHERE period = $1 AND body = $2),
	j AS (DELETE FROM %[2]s WHERE period = $1 AND body = $2)
	SELECT set_config('synchronous_commit', 'off', true)`

// discard removes what there is of the body, releases its room, and closes the channel then. While the database is away
// it goes on in the background; what the store's end interrupts is done by the next start.
func (u *upload) discard() <-chan struct{} {
	if u.batch != nil {
		u.batch.free()
		u.batch = nil
	}
	done := make(chan struct{})
	statement := fmt.Sprintf(discardPages, u.period.table("pages"), u.period.table("uploads"))
	if !u.store.spawn(func() {
		defer close(done)
		pace := pace{store: u.store}
		for {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(u.store.ctx, u.store.options.Wait)
			_, err := u.store.pool.Exec(ctx, statement, u.period.start, u.body)
			cancel()
			if err == nil || pg.Code(err) == undefinedTable {
				u.store.usage.release(u.size)
				return
			}
			pace.failed(err, begun, false)
			if !pace.wait(u.store.ctx) {
				return
			}
		}
	}) {
		close(done)
	}
	return done
}

// clean removes the pages of uploads that a crash has interrupted.
func (s *Store) clean(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, "SELECT period, body FROM uploads ORDER BY period, body")
	if err != nil {
		return err
	}
	type unfinished struct {
		Period int32
		Body   int64
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unfinished])
	if err != nil {
		return err
	}
	for _, one := range all {
		p := period{start: one.Period}
		statement := fmt.Sprintf(discardPages, p.table("pages"), p.table("uploads"))
		if _, err := s.pool.Exec(ctx, statement, one.Period, one.Body); err != nil {
			return err
		}
	}
	return nil
}
