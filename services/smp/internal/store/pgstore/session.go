package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

// Keys of the writers' sessions.
const (
	removerKey = owner.FirstKey
	appendKey  = owner.FirstKey + 1 // and up, one for each appender
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
	if err := w.store.lock.Fence(ctx, conn, w.key); err != nil {
		pg.CloseConn(conn)
		return err
	}
	w.conn = conn
	return nil
}

// close closes the session if err means that it is of no use any more.
func (w *session) closeIf(err error) {
	if w.conn != nil && (w.conn.IsClosed() || pg.IsUnavailable(err)) {
		w.close()
	}
}

func (w *session) close() {
	if w.conn != nil {
		pg.CloseConn(w.conn)
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
	if errors.Is(err, owner.ErrTaken) || !pg.IsTransient(err) {
		return false
	}
	if a.delay > 0 || pg.TimedOut(err) {
		a.store.health.Note(err)
	}
	pg.Pause(context.Background(), a.delay)
	a.delay = min(max(2*a.delay, firstPause), lastPause)
	return true
}

// timeout returns a context for one attempt of a writer.
func (s *Store) timeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), s.options.Wait)
}
