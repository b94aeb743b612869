package pgcerts

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/pg"
)

// A lock is a lease that its holder renews, by the database's clock. That outlives connections and restarts of the
// database, which advisory locks do not, and takes no connection while somebody works for minutes; a holder that has
// crashed loses it in half a minute.
const (
	leaseTime = 30 * time.Second
	renewTime = 10 * time.Second
	pollTime  = time.Second
	// giveUpTime bounds giving up locks at the end; they end by themselves otherwise.
	giveUpTime = 2 * time.Second
)

// lease is a lock that this storage holds.
type lease struct {
	name   string
	holder [16]byte
	cancel context.CancelFunc
	done   chan struct{} // closed when it is not renewed any more
}

// stop ends renewing.
func (l *lease) stop() {
	l.cancel()
	<-l.done
}

// errNotHeld is the error of a lock that is not, or no longer, held here.
var errNotHeld = errors.New("a lock on certificates is not held")

// Lock waits for the lock of this name, until ctx ends.
func (s *Storage) Lock(ctx context.Context, name string) error {
	for {
		ok, err := s.TryLock(ctx, name)
		if ok || err != nil {
			return err
		}
		if !pg.Pause(ctx, pollTime) {
			return ctx.Err()
		}
	}
}

// TryLock takes the lock of this name, if nobody has it.
func (s *Storage) TryLock(ctx context.Context, name string) (bool, error) {
	name, err := check(name)
	if err != nil {
		return false, err
	}
	if s.holds(name) != nil {
		return false, nil // even if the lease has been lost: Unlock knows holders by the name alone
	}
	l := &lease{name: name, done: make(chan struct{})}
	_, _ = rand.Read(l.holder[:]) // never fails
	var got bool
	err = s.do(ctx, "lock certificates", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, `INSERT INTO locks (name, holder, expires) VALUES ($1, $2, now() + $3::interval)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
			WHERE locks.expires < now() RETURNING true`, name, l.holder, leaseTime).Scan(&got)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || !got {
		return false, err
	}
	s.hold(l)
	return true, nil
}

// holds returns the lease of this name, or nil.
func (s *Storage) holds(name string) *lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[name]
}

// hold renews a lock until it is given up, or somebody else has it.
func (s *Storage) hold(l *lease) {
	var ctx context.Context
	ctx, l.cancel = context.WithCancel(context.Background())
	s.mu.Lock()
	s.held[l.name] = l
	s.mu.Unlock()
	go func() {
		defer close(l.done)
		for pg.Pause(ctx, renewTime) {
			// Another failure is made good by the next one, or the lock is lost, which certmagic bears.
			if errors.Is(s.renew(ctx, l), errNotHeld) {
				return
			}
		}
	}()
}

// renew extends a lock that is still this holder's, or returns errNotHeld.
func (s *Storage) renew(ctx context.Context, l *lease) error {
	return s.do(ctx, "renew a lock on certificates", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, "UPDATE locks SET expires = now() + $3::interval WHERE name = $1 AND holder = $2",
			l.name, l.holder, leaseTime)
		if err == nil && tag.RowsAffected() == 0 {
			return errNotHeld
		}
		return err
	})
}

// RenewLockLease tells whether a lock is still held. It is renewed anyway, for as long as its holder lives: the longer
// lease that is asked for here would keep others waiting after a crash.
func (s *Storage) RenewLockLease(ctx context.Context, name string, _ time.Duration) error {
	l := s.holds(clean(name))
	if l == nil {
		return errNotHeld
	}
	return s.renew(ctx, l)
}

// Unlock gives up a lock that is held. If somebody else has it by now, they keep it.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	l := s.holds(clean(name))
	if l == nil {
		return errNotHeld
	}
	l.stop()
	s.mu.Lock()
	delete(s.held, l.name)
	s.mu.Unlock()
	return s.release(ctx, l)
}

func (s *Storage) release(ctx context.Context, l *lease) error {
	return s.do(ctx, "unlock certificates", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM locks WHERE name = $1 AND holder = $2", l.name, l.holder)
		return err
	})
}

// giveUp gives up all locks, so that nobody waits for a process that ends.
func (s *Storage) giveUp() {
	s.mu.Lock()
	held := s.held
	s.held = make(map[string]*lease)
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), giveUpTime)
	defer cancel()
	for _, l := range held {
		l.stop()
		_ = s.release(ctx, l)
	}
}
