package pgcerts

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"sotto/shared/pg/pgtest"
)

// expire ends all leases, as time would.
func expire(t *testing.T, url string) {
	t.Helper()
	pgtest.Exec(t, url, "UPDATE certificates.locks SET expires = now() - interval '1 second'")
}

// wantHeld checks that somebody else has the lock.
func wantHeld(t *testing.T, s *Storage, name string) {
	t.Helper()
	if ok, err := s.TryLock(t.Context(), name); ok || err != nil {
		t.Fatalf("two hold the lock: %v, %v", ok, err)
	}
}

// renewed renews once there is a connection again: those that were cut off are noticed one by one.
func renewed(t *testing.T, s *Storage, l *lease) error {
	for t.Context().Err() == nil {
		if err := s.renew(t.Context(), l); err == nil || errors.Is(err, errNotHeld) {
			return err
		}
	}
	return t.Context().Err()
}

func TestOneHolder(t *testing.T) {
	url := pgtest.Open(t)
	var inside, rounds atomic.Int32
	var wg sync.WaitGroup
	for range 3 {
		s := open(t, url)
		wg.Go(func() {
			for range 3 {
				if err := s.Lock(t.Context(), "name"); err != nil {
					t.Error(err)
					return
				}
				if inside.Add(1) != 1 {
					t.Error("two hold the lock")
				}
				rounds.Add(1)
				inside.Add(-1)
				if err := s.Unlock(t.Context(), "name"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if rounds.Load() != 9 {
		t.Errorf("%d rounds", rounds.Load())
	}
}

// TestHolderDies: a holder that is cut off loses its lock, and does not harm the next one when it is back.
func TestHolderDies(t *testing.T) {
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	dead, alive, other := open(t, proxy.URL), open(t, url), open(t, url)
	must(t, dead.Lock(t.Context(), "name"))
	l := dead.holds("name")
	proxy.Set(pgtest.Refuse)
	wantHeld(t, alive, "name")
	expire(t, url)
	must(t, alive.Lock(t.Context(), "name"))
	proxy.Set(pgtest.Pass)
	if err := renewed(t, dead, l); !errors.Is(err, errNotHeld) {
		t.Errorf("a lost lock is renewed: %v", err)
	}
	if err := dead.RenewLockLease(t.Context(), "name", leaseTime); !errors.Is(err, errNotHeld) {
		t.Errorf("a lost lock is held: %v", err)
	}
	wantHeld(t, dead, "name") // also by itself, until it gives up
	must(t, dead.Unlock(t.Context(), "name"))
	wantHeld(t, other, "name")
	must(t, alive.Unlock(t.Context(), "name"))
	must(t, other.Lock(t.Context(), "name"))
}

// TestLockOutlivesItsConnection: an administrator ends all connections, and the lock stays.
func TestLockOutlivesItsConnection(t *testing.T) {
	url := pgtest.Open(t)
	holder, other := open(t, url), open(t, url)
	must(t, holder.Lock(t.Context(), "name"))
	pgtest.Exec(t, url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	must(t, renewed(t, holder, holder.holds("name")))
	for {
		ok, err := other.TryLock(t.Context(), "name")
		if ok {
			t.Fatal("two hold the lock")
		}
		if err == nil {
			break
		}
	}
	must(t, holder.RenewLockLease(t.Context(), "name", leaseTime))
	must(t, holder.Unlock(t.Context(), "name"))
	must(t, other.Lock(t.Context(), "name"))
}

// TestRenewalMovesTheEnd: it is what keeps a lock that has nearly ended.
func TestRenewalMovesTheEnd(t *testing.T) {
	url := pgtest.Open(t)
	holder, other := open(t, url), open(t, url)
	must(t, holder.Lock(t.Context(), "name"))
	expire(t, url)
	must(t, holder.renew(t.Context(), holder.holds("name")))
	wantHeld(t, other, "name")
	if n := pgtest.Int(t, url, "SELECT count(*) FROM certificates.locks WHERE expires > now() + interval '20 seconds'"); n != 1 {
		t.Error("the end has not moved")
	}
}

// TestCloseGivesUp: who comes next need not wait for the end of the lease.
func TestCloseGivesUp(t *testing.T) {
	url := pgtest.Open(t)
	first, next := open(t, url), open(t, url)
	must(t, first.Lock(t.Context(), "name"))
	first.Close()
	if ok, err := next.TryLock(t.Context(), "name"); !ok || err != nil {
		t.Errorf("not given up: %v, %v", ok, err)
	}
	first.Close()
}

func TestUnlockOfOthers(t *testing.T) {
	url := pgtest.Open(t)
	holder, other := open(t, url), open(t, url)
	must(t, holder.Lock(t.Context(), "name"))
	if err := other.Unlock(t.Context(), "name"); !errors.Is(err, errNotHeld) {
		t.Errorf("gave up what it did not hold: %v", err)
	}
	wantHeld(t, other, "name")
}
