package pgstore

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sotto/shared/pg"
)

// session is the connection of one writer. It holds an advisory lock that is the writer's own, so once a new session
// is open, nothing that was begun in the old one can still happen.
type session struct {
	store *Store
	key   int32
	conn  *pgx.Conn // nil: closed
}

// open connects unless the session is open already.
func (w *session) open(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := pg.Connect(ctx, w.store.dial)
	if err != nil {
		return err
	}
	if err := w.fence(ctx, conn); err != nil {
		closeConn(conn)
		return err
	}
	w.conn = conn
	return nil
}

// fence takes the writer's lock, ending an older session that still has it. That is safe for the owner of the
// database only, so ownership is checked before; and again after, see processLock.
func (w *session) fence(ctx context.Context, conn *pgx.Conn) error {
	if err := w.store.lock.verify(ctx); err != nil {
		return err
	}
	for {
		got, err := try(ctx, conn, w.key)
		if err != nil {
			return err
		}
		if got {
			return w.store.lock.verify(ctx)
		}
		if _, err := conn.Exec(ctx, endSessions, lockClass, w.key, w.key); err != nil {
			return err
		}
		if !pause(ctx, lockRetry/10) {
			return context.DeadlineExceeded
		}
	}
}

// close closes the session if err means that it is of no use any more.
func (w *session) closeIf(err error) {
	if w.conn != nil && (w.conn.IsClosed() || pg.IsUnavailable(err)) {
		w.close()
	}
}

func (w *session) close() {
	if w.conn != nil {
		closeConn(w.conn)
		w.conn = nil
	}
}

// attempts paces the repetitions of one group while the database is away.
type attempts struct {
	store *Store
	delay time.Duration
}

// again waits before another attempt after err; false when err will not go away.
func (a *attempts) again(err error) bool {
	if errors.Is(err, errTaken) || !pg.IsTransient(err) {
		return false
	}
	if a.delay > 0 || timedOut(err) {
		a.store.health.note(err)
	}
	pause(context.Background(), a.delay)
	a.delay = min(max(2*a.delay, firstPause), lastPause)
	return true
}

// timedOut reports whether err says that the server did not answer in time, rather than that it was not there.
func timedOut(err error) bool {
	return pgconn.Timeout(err) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// timeout returns a context for one attempt of a writer.
func (s *Store) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.options.Wait)
}
