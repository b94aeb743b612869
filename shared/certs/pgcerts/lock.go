package pgcerts

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/pg"
)

// A lock is a lease that its holder renews. That outlives connections and restarts of the database, which advisory locks do
// not, and a holder that has crashed loses it in half a minute.
const (
	leaseTime = 30 * time.Second
	renewTime = 10 * time.Second
	pollTime  = time.Second
)

// lease is a lock that this storage holds.
type lease struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it is not renewed any more
	holder [16]byte
}

// stop ends renewing.
func (l *lease) stop() {
	l.cancel()
	<-l.done
}

// errNotHeld is the error of giving up a lock that is not held here.
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
	var holder [16]byte
	_, _ = rand.Read(holder[:]) // never fails
	var got bool
	err := s.do(ctx, "lock certificates", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, `INSERT INTO locks (name, holder, expires) VALUES ($1, $2, now() + $3::interval)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
			WHERE locks.expires < now() RETURNING true`, clean(name), holder, leaseTime).Scan(&got)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil || !got {
		return false, err
	}
	s.hold(name, holder)
	return true, nil
}

// hold renews a lock until it is given up.
func (s *Storage) hold(name string, holder [16]byte) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &lease{cancel: cancel, done: make(chan struct{}), holder: holder}
	s.mu.Lock()
	s.held[clean(name)] = l
	s.mu.Unlock()
	go func() {
		defer close(l.done)
		for pg.Pause(ctx, renewTime) {
			// A failure is made good by the next one, or the lock is lost, which certmagic bears.
			_ = s.renew(ctx, name, holder, leaseTime)
		}
	}()
}

// renew extends a lock that is still this holder's.
func (s *Storage) renew(ctx context.Context, name string, holder [16]byte, d time.Duration) error {
	return s.do(ctx, "renew a lock on certificates", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "UPDATE locks SET expires = now() + $3::interval WHERE name = $1 AND holder = $2", clean(name), holder, d)
		return err
	})
}

// Unlock gives up a lock that is held. If somebody else has it by now, they keep it.
func (s *Storage) Unlock(ctx context.Context, name string) error {
	s.mu.Lock()
	l := s.held[clean(name)]
	delete(s.held, clean(name))
	s.mu.Unlock()
	if l == nil {
		return errNotHeld
	}
	l.stop()
	return s.do(ctx, "unlock certificates", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM locks WHERE name = $1 AND holder = $2", clean(name), l.holder)
		return err
	})
}
