package pgstore

import (
	"context"
	"testing"
	"time"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/storetest"
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

// opener opens stores on databases of their own, with the options that edit makes.
func opener(edit func(*Options)) storetest.Open {
	return func(t *testing.T, quota int) storetest.Subject {
		o := Options{URL: pgtest.Open(t), Quota: quota}
		edit(&o)
		s := openAt(t, o)
		return storetest.Subject{
			Store: s,
			Reopen: func(t *testing.T) server.Store {
				s.Close()
				s = openAt(t, o)
				return s
			},
			Rows: func(t *testing.T) int { return int(pgtest.Int(t, o.URL, "SELECT count(*) FROM messages")) },
		}
	}
}

func TestStore(t *testing.T) {
	storetest.Run(t, opener(func(*Options) {}))
}

// Every cache is too small for what the tests do, so that everything is read from the database again and again.
func TestStoreWithoutCaches(t *testing.T) {
	storetest.Run(t, opener(func(o *Options) { o.Records, o.States, o.CachedBytes = 1, 1, 1 }))
}
