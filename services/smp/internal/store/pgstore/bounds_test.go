package pgstore

import (
	"sync"
	"testing"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/store/storetest"
	"sotto/shared/pg/pgtest"
)

// What the store keeps in memory does not grow with the number of queues.
func TestBounds(t *testing.T) {
	const most, queues, bytes = 64, 600, 256 << 10
	s := openAt(t, Options{URL: pgtest.Open(t), Records: most, States: most, CachedBytes: bytes})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range queues / 8 {
				q := newQueue(t, s)
				for range 3 {
					if r := append1(t.Context(), s, q, storetest.NewMessage(make([]byte, 16048))); r.Err != nil {
						t.Error(r.Err)
					}
				}
			}
		})
	}
	wait.Wait()
	if n := s.records.len(); n > most {
		t.Errorf("%d records", n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states.trim()
	var sum int64
	for _, st := range s.states.byRef {
		for _, e := range st.entries {
			sum += cost(e.m)
		}
		if st.pins != 0 || st.busy != nil || st.flying != 0 {
			t.Error("a state is in use although nothing happens")
		}
	}
	if n := len(s.states.byRef); n > most || n != s.states.used.Len() {
		t.Errorf("%d states, %d in the list", n, s.states.used.Len())
	}
	if sum != s.states.bytes || sum > bytes {
		t.Errorf("%d bytes of messages, %d counted", sum, s.states.bytes)
	}
}

// Messages of many callers share transactions.
func TestGroups(t *testing.T) {
	const callers, each = 128, 10
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	var wait sync.WaitGroup
	refs := make([]queue.Ref, callers)
	for i := range refs {
		refs[i] = newQueue(t, s)
	}
	for _, q := range refs {
		wait.Go(func() {
			for range each {
				if r := append1(t.Context(), s, q, storetest.NewMessage(make([]byte, 16048))); r.Err != nil {
					t.Error(r.Err)
				}
			}
		})
	}
	wait.Wait()
	// xmin is the transaction that stored a row.
	n := pgtest.Int(t, url, "SELECT count(DISTINCT xmin::text) FROM messages")
	t.Logf("%d messages in %d transactions", callers*each, n)
	if n > callers*each/8 {
		t.Errorf("%d transactions for %d messages", n, callers*each)
	}
}
