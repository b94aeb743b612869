package pgstore

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/store/storetest"
	"sotto/shared/pg"
	"sotto/shared/pg/pgtest"
)

const (
	benchBody    = 16048 // the largest body of current clients
	benchCallers = 128
)

func benchConn(b *testing.B, url string) *pgx.Conn {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { pg.CloseConn(conn) })
	for name, value := range settings {
		if _, err := conn.Exec(b.Context(), "SELECT set_config($1, $2, false)", name, value); err != nil {
			b.Fatal(err)
		}
	}
	return conn
}

func benchBodyBytes() []byte {
	body := make([]byte, benchBody)
	_, _ = rand.Read(body)
	return body
}

// bareLoop stores and deletes n messages in groups as large as the number of callers, with the driver alone: one
// connection copies, another deletes the group before. Nothing is kept in order, counted or looked at.
func bareLoop(b *testing.B, url string, n int) time.Duration {
	b.Helper()
	copies, deletes := benchConn(b, url), benchConn(b, url)
	body, id := benchBodyBytes(), make([]byte, 24)
	columns := []string{"queue_id", "seq", "time", "flags", "msg_id", "body"}
	type group struct{ qs, seqs []int64 }
	groups := make(chan group, 1)
	vacuums := benchConn(b, url)
	due := make(chan struct{}, 1)
	var failed atomic.Pointer[error]
	var wait sync.WaitGroup
	start := time.Now()
	wait.Go(func() { // as often as the store does
		for range due {
			if _, err := vacuums.Exec(b.Context(), vacuumBusy); err != nil {
				failed.Store(&err)
			}
		}
	})
	wait.Go(func() {
		defer close(due)
		deleted := 0
		for g := range groups {
			if deleted += len(g.qs); deleted >= vacuumAfter {
				deleted = 0
				wake(due)
			}
			if _, err := deletes.Exec(b.Context(), deleteRows, g.qs, g.seqs); err != nil {
				failed.Store(&err)
			}
		}
	})
	for seq := int64(1); n > 0; seq++ {
		var g group
		for q := int64(1); q <= benchCallers && n > 0; q++ {
			g.qs, g.seqs = append(g.qs, q), append(g.seqs, seq)
			n--
		}
		_, err := copies.CopyFrom(b.Context(), pgx.Identifier{"messages"}, columns, pgx.CopyFromSlice(len(g.qs), func(i int) ([]any, error) {
			return []any{g.qs[i], g.seqs[i], int64(0), int16(0), id, body}, nil
		}))
		if err != nil {
			b.Fatal(err)
		}
		groups <- g
	}
	close(groups)
	wait.Wait()
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	return time.Since(start)
}

// storeLoop sends n messages through the store, each caller appending to and acknowledging from its own queue.
func storeLoop(b *testing.B, s *Store, refs []queue.Ref, n int) time.Duration {
	b.Helper()
	body := benchBodyBytes()
	var left atomic.Int64
	left.Store(int64(n))
	var wait sync.WaitGroup
	start := time.Now()
	for _, q := range refs {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				m := storetest.NewMessage(body)
				if r := append1(b.Context(), s, q, m); r.Err != nil {
					b.Error(r.Err)
					return
				}
				if h := acknowledge1(b.Context(), s, q, m.ID); h.Err != nil || h.Message != nil {
					b.Error("a message is left", h.Err)
					return
				}
			}
		})
	}
	wait.Wait()
	return time.Since(start)
}

// BenchmarkStore compares the store with a loop of the driver alone, in turns, so that both see the same machine.
func BenchmarkStore(b *testing.B) {
	const turn = 6400
	bareURL, storeURL := pgtest.Open(b), pgtest.Open(b)
	if _, _, err := Migrate(b.Context(), bareURL); err != nil {
		b.Fatal(err)
	}
	s := openAt(b, Options{URL: storeURL})
	refs := make([]queue.Ref, benchCallers)
	for i := range refs {
		refs[i] = newQueue(b, s)
	}
	var bare, store time.Duration
	messages := 0
	b.ReportAllocs()
	b.SetBytes(benchBody * turn)
	for b.Loop() {
		store += storeLoop(b, s, refs, turn)
		bare += bareLoop(b, bareURL, turn)
		messages += turn
	}
	b.ReportMetric(float64(messages)/bare.Seconds(), "bare-msg/s")
	b.ReportMetric(float64(messages)/store.Seconds(), "store-msg/s")
	b.ReportMetric(bare.Seconds()/store.Seconds(), "store/bare")
}

// BenchmarkLone is the time of one message that comes alone, and of one INSERT with the driver.
func BenchmarkLone(b *testing.B) {
	url := pgtest.Open(b)
	s := openAt(b, Options{URL: url})
	q := newQueue(b, s)
	conn := benchConn(b, url)
	body, id := benchBodyBytes(), make([]byte, 24)
	var bare, store time.Duration
	n := 0
	for b.Loop() {
		m := storetest.NewMessage(body)
		start := time.Now()
		if r := append1(b.Context(), s, q, m); r.Err != nil {
			b.Fatal(r.Err)
		}
		store += time.Since(start)
		acknowledge1(b.Context(), s, q, m.ID)
		start = time.Now()
		_, err := conn.Exec(b.Context(), `INSERT INTO messages (queue_id, seq, time, flags, msg_id, body)
			VALUES ($1, $2, 0, 0, $3, $4)`, int64(-1), n, id, body)
		if err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		n++
	}
	b.ReportMetric(float64(bare.Microseconds())/float64(n), "insert-µs")
	b.ReportMetric(float64(store.Microseconds())/float64(n), "append-µs")
}

// BenchmarkBloat is the size of the table after many messages have passed through it.
func BenchmarkBloat(b *testing.B) {
	const cycles = 120_000
	for b.Loop() {
		url := pgtest.Open(b)
		s := openAt(b, Options{URL: url})
		refs := make([]queue.Ref, benchCallers)
		for i := range refs {
			refs[i] = newQueue(b, s)
		}
		took := storeLoop(b, s, refs, cycles)
		size := pgtest.Int(b, url, "SELECT pg_total_relation_size('messages')")
		b.ReportMetric(float64(size)/(1<<20), "MiB")
		b.ReportMetric(cycles/took.Seconds(), "msg/s")
		s.Close()
	}
}
