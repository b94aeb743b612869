package pgstore

import (
	"fmt"
	"testing"

	"sotto/shared/pg/pgtest"
)

// Few messages are counted; of many, the number is what Postgres takes it for, and said to be that.
func TestWaiting(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	fill := func(queue, n int) {
		pgtest.Exec(t, url, fmt.Sprintf(`INSERT INTO messages (queue_id, seq, time, flags, msg_id, body)
			SELECT %d, n, 0, 0, '', '' FROM generate_series(1, %d) n`, queue, n))
	}
	want := func(n int64, exactly bool) {
		t.Helper()
		got, exact, err := s.Waiting(t.Context())
		if err != nil || got != n || exact != exactly {
			t.Errorf("%d messages wait, exactly: %v, %v; not %d, %v", got, exact, err, n, exactly)
		}
	}
	want(0, true)
	fill(1, exactMessages)
	want(exactMessages, true)
	fill(2, 2*exactMessages)
	pgtest.Exec(t, url, "ANALYZE messages")
	want(3*exactMessages, false)
	if n, err := s.Bytes(t.Context()); err != nil || n < 1<<20 {
		t.Errorf("the database takes %d bytes, %v", n, err)
	}
}
