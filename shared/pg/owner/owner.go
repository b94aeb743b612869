// Package owner makes one process the owner of a database, with advisory locks, so that a store may keep in memory
// what only it changes. A second process is refused, and one that was replaced notices it before it does harm.
package owner

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"sotto/shared/pg"
)

// Advisory locks of an owner, as (class, key). A process works on the database only while these hold:
//
//   - its lock session holds processKey, exclusively;
//   - every other session of it holds a key above (those of pools share sharedKey, others have one of their own from
//     FirstKey) and has seen the lock session alive after it got that.
//
// A process that takes processKey ends all sessions that hold other keys before it begins. So when a process
// loses its lock session, what its other sessions still do is done before the next owner reads anything, and
// a session opened later finds out that the lock is not its own.
const (
	lockClass  = 0x536f7474 // "Sott"
	processKey = 0
	sharedKey  = 1
	lastKey    = 1 << 20
	// FirstKey and those above are for sessions with a lock of their own; see [Lock.Fence].
	FirstKey = 2
)

const (
	// Patience bounds waiting for the database, and for the process lock, at the start.
	Patience = 15 * time.Second
	// lockPatience is how long a process waits for the lock of its predecessor, whose backend may linger.
	lockPatience = 5 * time.Second
	// lockRetry is the pause between two attempts at a lock.
	lockRetry = 100 * time.Millisecond
	// watchEvery is how often the lock session is looked after.
	watchEvery = 5 * time.Second
	// watchAgain is how soon it is looked after again when the database did not answer.
	watchAgain = 500 * time.Millisecond
)

// Errors of locks.
var (
	// ErrInUse says that another relay process works on the database.
	ErrInUse = errors.New("another relay process uses this database: stop it first, or give this one a database of its own")
	// ErrTaken says that another relay process has taken the database over. Only a restart helps.
	ErrTaken = errors.New("another relay process has taken the database")
)

const (
	tryLock = "SELECT pg_try_advisory_lock($1::int, $2::int)"
	// holders are the other sessions that hold keys $2 to $3 of class $1.
	holders = ` FROM pg_locks l JOIN pg_database d ON d.oid = l.database
		WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.objsubid = 2 AND l.granted
		AND l.classid = $1::bigint::oid AND l.objid BETWEEN $2::bigint::oid AND $3::bigint::oid AND l.pid <> pg_backend_pid()`
	endSessions = "SELECT count(pg_terminate_backend(l.pid))" + holders
	findHolder  = "SELECT coalesce(max(l.pid), 0)" + holders
)

// Lock is a process's ownership of a database. The database must have a table store with one row, whose column epoch
// counts the owners.
type Lock struct {
	dial *pgx.ConnConfig
	log  zerolog.Logger
	lost chan struct{} // closed when another process has the database

	mu    sync.Mutex // guards the rest; held while talking to the database
	conn  *pgx.Conn  // the lock session; nil: to be opened
	pid   int32      // the backend of the last lock session
	epoch int64      // of this process's ownership
}

// New returns a lock that nobody holds yet.
func New(dial *pgx.ConnConfig, log zerolog.Logger) *Lock {
	return &Lock{dial: dial, log: log, lost: make(chan struct{})}
}

// Own makes this process the owner within [Patience], or returns [ErrInUse]. It runs migrate on the lock session
// before the ownership begins, and ends what is left of earlier owners after.
func (l *Lock) Own(ctx context.Context, migrate func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	if err := l.Acquire(ctx); err != nil {
		return err
	}
	if err := migrate(context.WithoutCancel(ctx), l.conn); err != nil {
		return err
	}
	return l.Begin(ctx)
}

// Acquire opens the lock session and takes the lock, or returns [ErrInUse] after a few seconds.
func (l *Lock) Acquire(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for said := false; ; said = true {
		conn, err := pg.Connect(ctx, l.dial)
		if err == nil {
			l.conn, l.pid = conn, int32(conn.PgConn().PID())
			break
		}
		if pg.IsUnavailable(err) && !said {
			l.log.Warn().Str("cause", pg.Safe(err)).Stringer("at_most", Patience).Msg("the database does not answer yet; waiting for it")
		}
		if !pg.IsUnavailable(err) || !pg.Pause(ctx, 5*lockRetry) {
			return err
		}
	}
	for start := time.Now(); ; {
		got, err := try(ctx, l.conn, processKey)
		if got || err != nil {
			return pg.Wrap("lock database", err)
		}
		if time.Since(start) > lockPatience || !pg.Pause(ctx, lockRetry) {
			return ErrInUse
		}
	}
}

// Begin ends what is left of earlier owners and marks the beginning of this ownership.
func (l *Lock) Begin(ctx context.Context) error {
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
		if !pg.Pause(ctx, lockRetry) {
			return ErrInUse
		}
	}
	err := l.conn.QueryRow(ctx, "UPDATE store SET epoch = epoch + 1 RETURNING epoch").Scan(&l.epoch)
	return pg.Wrap("begin ownership", err)
}

// Verify returns nil if this process owns the database at some moment during the call. It opens the lock session
// again if that was lost, and ends the ownership for good, with [ErrTaken], if another process was faster.
func (l *Lock) Verify(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Taken() {
		return ErrTaken
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
	case errors.Is(err, ErrTaken):
		pg.CloseConn(conn)
		close(l.lost)
		l.log.Error().Msg("another relay process has taken the database: this one stores nothing any more")
		return err
	case err != nil:
		pg.CloseConn(conn)
		return err
	}
	l.conn, l.pid = conn, int32(conn.PgConn().PID())
	return nil
}

// regain takes processKey in a new lock session. The backend of the old one may still hold it, and is ended then.
func (l *Lock) regain(ctx context.Context, conn *pgx.Conn) error {
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
			return ErrTaken
		}
		if holder == l.pid {
			if err := end(ctx, conn, processKey); err != nil {
				return pg.Wrap("end the old lock session", err)
			}
		}
		if !pg.Pause(ctx, lockRetry) {
			break
		}
	}
	return pg.Wrap("lock database", context.DeadlineExceeded)
}

// sameEpoch returns ErrTaken if another process owned the database meanwhile.
func (l *Lock) sameEpoch(ctx context.Context, conn *pgx.Conn) error {
	var epoch int64
	if err := conn.QueryRow(ctx, "SELECT epoch FROM store").Scan(&epoch); err != nil {
		return pg.Wrap("read epoch", err)
	}
	if epoch != l.epoch {
		return ErrTaken
	}
	return nil
}

func try(ctx context.Context, conn *pgx.Conn, key int32) (got bool, err error) {
	err = conn.QueryRow(ctx, tryLock, lockClass, key).Scan(&got)
	return got, err
}

// end ends the other sessions that hold key.
func end(ctx context.Context, conn *pgx.Conn, key int32) error {
	_, err := conn.Exec(ctx, endSessions, lockClass, key, key)
	return err
}

// Lost is closed when another process has taken the database over.
func (l *Lock) Lost() <-chan struct{} { return l.lost }

// Taken reports whether another process has taken the database over.
func (l *Lock) Taken() bool {
	select {
	case <-l.lost:
		return true
	default:
		return false
	}
}

// drop closes the lock session, which gives the lock back.
func (l *Lock) drop() {
	if l.conn != nil {
		pg.CloseConn(l.conn)
		l.conn = nil
	}
}

// Release gives the database up.
func (l *Lock) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

// Join makes a new connection of a pool one of the owner's sessions.
func (l *Lock) Join(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock_shared($1::int, $2::int)", lockClass, sharedKey); err != nil {
		return err
	}
	return l.Verify(ctx)
}

// Fence takes key for conn, ending an older session that still has it. That is safe for the owner of the
// database only, so ownership is checked before, and again after.
func (l *Lock) Fence(ctx context.Context, conn *pgx.Conn, key int32) error {
	if err := l.Verify(ctx); err != nil {
		return err
	}
	for {
		got, err := try(ctx, conn, key)
		if err != nil {
			return err
		}
		if got {
			return l.Verify(ctx)
		}
		if err := end(ctx, conn, key); err != nil {
			return err
		}
		if !pg.Pause(ctx, lockRetry/10) {
			return context.DeadlineExceeded
		}
	}
}

// Watch keeps the lock session alive until ctx ends, so that the loss of the database is noticed also when nothing
// happens. Each look is bounded by wait and told to health.
func (l *Lock) Watch(ctx context.Context, wait time.Duration, health *pg.Health) {
	for every := watchEvery; pg.Pause(ctx, every); {
		bounded, cancel := context.WithTimeout(ctx, wait)
		err := l.Verify(bounded)
		cancel()
		if l.Taken() {
			return
		}
		if ctx.Err() == nil {
			health.Note(err)
		}
		every = watchEvery
		if err != nil {
			every = watchAgain
		}
	}
}
