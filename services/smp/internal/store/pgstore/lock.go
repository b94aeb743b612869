package pgstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

// Advisory locks of the store, as (class, key). A process works on the database only while these hold:
//
//   - its lock session holds processKey, exclusively;
//   - every other session of it holds a key above (the pool's share sharedKey, each writer has its own) and has
//     seen the lock session alive after it got that.
//
// A process that takes processKey ends all sessions that hold other keys before it begins. So when a process
// loses its lock session, what its other sessions still do is done before the next owner reads anything, and
// a session opened later finds out that the lock is not its own.
const (
	lockClass  = 0x536f7474 // "Sott"
	processKey = 0
	sharedKey  = 1
	removerKey = 2
	appendKey  = 3 // and up, one for each appender
	lastKey    = 1 << 20
)

const (
	// openPatience bounds waiting for the database, and for the process lock, at the start.
	openPatience = 15 * time.Second
	// lockPatience is how long a process waits for the lock of its predecessor, whose backend may linger.
	lockPatience = 5 * time.Second
	// lockRetry is the pause between two attempts at a lock.
	lockRetry = 100 * time.Millisecond
	// watchEvery is how often the lock session is looked after.
	watchEvery = 5 * time.Second
	// watchAgain is how soon it is looked after again when the database did not answer.
	watchAgain = 500 * time.Millisecond
)

// ErrInUse says that another relay process works on the database.
var ErrInUse = errors.New("another relay process uses this database: stop it first, or give this one a database of its own")

// errTaken is the reason for queue.ErrUnavailable after another process took the database over.
var errTaken = fmt.Errorf("another relay process has taken the database: %w", queue.ErrUnavailable)

const (
	tryLock = "SELECT pg_try_advisory_lock($1::int, $2::int)"
	// holders are the other sessions that hold keys $2 to $3 of class $1.
	holders = ` FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.objsubid = 2 AND l.granted
		AND l.classid = $1::bigint::oid AND l.objid BETWEEN $2::bigint::oid AND $3::bigint::oid AND l.pid <> pg_backend_pid()`
	endSessions = "SELECT count(pg_terminate_backend(l.pid))" + holders
	findHolder  = "SELECT coalesce(max(l.pid), 0)" + holders
)

// processLock is this process's ownership of the database.
type processLock struct {
	dial *pgx.ConnConfig
	log  zerolog.Logger
	lost chan struct{} // closed when another process has the database

	mu    sync.Mutex // guards the rest; held while talking to the database
	conn  *pgx.Conn  // the lock session; nil: to be opened
	pid   int32      // the backend of the last lock session
	epoch int64      // of this process's ownership
}

func newProcessLock(dial *pgx.ConnConfig, log zerolog.Logger) *processLock {
	return &processLock{dial: dial, log: log, lost: make(chan struct{})}
}

// acquire opens the lock session and takes processKey, or returns ErrInUse after lockPatience.
func (l *processLock) acquire(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for said := false; ; said = true {
		conn, err := pg.Connect(ctx, l.dial)
		if err == nil {
			l.conn, l.pid = conn, int32(conn.PgConn().PID())
			break
		}
		if pg.IsUnavailable(err) && !said {
			l.log.Warn().Str("cause", pg.Safe(err)).Stringer("at_most", openPatience).Msg("the database does not answer yet; waiting for it")
		}
		if !pg.IsUnavailable(err) || !pause(ctx, 5*lockRetry) {
			return err
		}
	}
	for start := time.Now(); ; {
		got, err := try(ctx, l.conn, processKey)
		if got || err != nil {
			return pg.Wrap("lock database", err)
		}
		if time.Since(start) > lockPatience || !pause(ctx, lockRetry) {
			return ErrInUse
		}
	}
}

// begin ends what is left of earlier owners and marks the beginning of this ownership.
func (l *processLock) begin(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		var others int
		err := l.conn.QueryRow(ctx, endSessions, lockClass, sharedKey, lastKey).Scan(&others)
		if err != nil {
			return pg.Wrap("end sessions of an earlier process", err)
		}
		if others == 0 {
			break
		}
		if !pause(ctx, lockRetry) {
			return ErrInUse
		}
	}
	err := l.conn.QueryRow(ctx, "UPDATE store SET epoch = epoch + 1 RETURNING epoch").Scan(&l.epoch)
	return pg.Wrap("begin ownership", err)
}

// verify returns nil if this process owns the database at some moment during the call. It opens the lock session
// again if that was lost, and ends the ownership for good if another process was faster.
func (l *processLock) verify(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.taken() {
		return errTaken
	}
	if l.conn != nil {
		if l.conn.Ping(ctx) == nil {
			return nil
		}
		l.drop()
	}
	conn, err := pg.Connect(ctx, l.dial)
	if err != nil {
		return err
	}
	switch err := l.regain(ctx, conn); {
	case errors.Is(err, errTaken):
		closeConn(conn)
		close(l.lost)
		l.log.Error().Msg("another relay process has taken the database: this one stores nothing any more")
		return err
	case err != nil:
		closeConn(conn)
		return err
	}
	l.conn, l.pid = conn, int32(conn.PgConn().PID())
	return nil
}

// regain takes processKey in a new lock session. The backend of the old one may still hold it, and is ended then.
func (l *processLock) regain(ctx context.Context, conn *pgx.Conn) error {
	for range lockPatience / lockRetry {
		got, err := try(ctx, conn, processKey)
		if err != nil {
			return pg.Wrap("lock database", err)
		}
		if got {
			return l.sameEpoch(ctx, conn)
		}
		var holder int32
		if err := conn.QueryRow(ctx, findHolder, lockClass, processKey, processKey).Scan(&holder); err != nil {
			return pg.Wrap("find the lock's holder", err)
		}
		if holder != 0 && holder != l.pid {
			return errTaken
		}
		if holder == l.pid {
			if _, err := conn.Exec(ctx, endSessions, lockClass, processKey, processKey); err != nil {
				return pg.Wrap("end the old lock session", err)
			}
		}
		if !pause(ctx, lockRetry) {
			break
		}
	}
	return pg.Wrap("lock database", context.DeadlineExceeded)
}

// sameEpoch returns errTaken if another process owned the database meanwhile.
func (l *processLock) sameEpoch(ctx context.Context, conn *pgx.Conn) error {
	var epoch int64
	if err := conn.QueryRow(ctx, "SELECT epoch FROM store").Scan(&epoch); err != nil {
		return pg.Wrap("read epoch", err)
	}
	if epoch != l.epoch {
		return errTaken
	}
	return nil
}

func try(ctx context.Context, conn *pgx.Conn, key int32) (got bool, err error) {
	err = conn.QueryRow(ctx, tryLock, lockClass, key).Scan(&got)
	return got, err
}

func (l *processLock) taken() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// drop closes the lock session, which gives the lock back.
func (l *processLock) drop() {
	if l.conn != nil {
		closeConn(l.conn)
		l.conn = nil
	}
}

func (l *processLock) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

// join makes a new connection of the pool one of the owner's sessions.
func (s *Store) join(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1::int, $2::int)", lockClass, sharedKey); err != nil {
		return err
	}
	return s.lock.verify(ctx)
}

// watch keeps the lock session alive, so that the loss of the database is noticed also when nothing happens.
func (s *Store) watch() {
	for every := watchEvery; pause(s.ctx, every); {
		ctx, cancel := context.WithTimeout(s.ctx, s.options.Wait)
		err := s.lock.verify(ctx)
		cancel()
		if s.lock.taken() {
			return
		}
		if s.ctx.Err() == nil {
			s.health.note(err)
		}
		every = watchEvery
		if err != nil {
			every = watchAgain
		}
	}
}

// pause waits for d; false when ctx ended before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// closeConn closes a connection without waiting long for a server that does not answer.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}
