package pgstore

import (
	"context"
	"testing"
	"time"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/storetest"
	"sotto/shared/pg/pgtest"
)

var _ server.Store = (*Store)(nil)

// openAt opens a store and closes it when the test ends.
func openAt(t testing.TB, o Options) *Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := Open(ctx, o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// crash makes s what it is when its process was killed: nothing is finished, and the connections are gone.
func (s *Store) crash() {
	s.gate.Lock()
	s.closing.Store(true)
	s.gate.Unlock()
	s.cancel()
	s.pool.Close()
	s.lock.Release()
}

// strays counts pages that no chunk has, and what is in the journal.
const strays = `SELECT (SELECT count(*) FROM pages p WHERE NOT EXISTS (SELECT FROM chunks c WHERE c.period = p.period AND c.body = p.body))
	+ (SELECT count(*) FROM uploads)`

// opener opens stores on databases of their own, with the options that edit makes.
func opener(edit func(*Options)) storetest.Open {
	return func(t *testing.T, c storetest.Config) storetest.Subject {
		url := pgtest.Open(t)
		open := func(t *testing.T, c storetest.Config) *Store {
			o := Options{URL: url, Quota: c.Quota, TTL: c.TTL, Now: c.Clock.Now}
			edit(&o)
			return openAt(t, o)
		}
		s := open(t, c)
		return storetest.Subject{
			Store: s,
			Reopen: func(t *testing.T, c storetest.Config) server.Store {
				s.Close()
				s = open(t, c)
				return s
			},
			Crash: func(t *testing.T, c storetest.Config) server.Store {
				s.crash()
				s = open(t, c)
				return s
			},
			Strays: func(t *testing.T) int64 { return pgtest.Int(t, url, strays) },
		}
	}
}

func TestStore(t *testing.T) {
	storetest.Run(t, opener(func(*Options) {}))
}

// A single batch of pages is on its way at a time.
func TestStoreWithOneConnection(t *testing.T) {
	storetest.Run(t, opener(func(o *Options) { o.Connections = 1 }))
}
