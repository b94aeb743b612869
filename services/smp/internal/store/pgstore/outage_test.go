package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/store/storetest"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// killAll ends all connections of the store, as an operator or a restart of the server does.
const killAll = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
	WHERE datname = current_database() AND application_name = 'sotto-smp'`

func newQueue(t testing.TB, s *Store) queue.Ref {
	t.Helper()
	q := storetest.NewQueue(t)
	if err := s.Create(t.Context(), q, nil); err != nil {
		t.Fatal(err)
	}
	return q.Ref
}

func append1(ctx context.Context, s *Store, q queue.Ref, m *queue.Message) queue.Appended {
	var r [1]queue.Appended
	s.Append(ctx, []queue.NewMessage{{Queue: q, Message: m}}, r[:])
	return r[0]
}

func acknowledge1(ctx context.Context, s *Store, q queue.Ref, id queue.MessageID) queue.Head {
	var r [1]queue.Head
	s.Acknowledge(ctx, []queue.Acknowledgement{{Queue: q, ID: id}}, r[:])
	return r[0]
}

func head1(ctx context.Context, s *Store, q queue.Ref) queue.Head {
	var r [1]queue.Head
	s.Heads(ctx, []queue.Ref{q}, r[:])
	return r[0]
}

// traffic sends numbered messages through queues, one sender and one recipient each, until stop, then checks that
// every message that was accepted arrived once and in order, and that no other did.
type traffic struct {
	s       *Store
	queues  []queue.Ref
	sent    [][]uint64 // accepted, for each queue
	got     [][]uint64
	refused int // appends that failed
}

func (tr *traffic) run(t *testing.T, stop <-chan struct{}) {
	var senders, recipients sync.WaitGroup
	var mu sync.Mutex
	tr.sent, tr.got = make([][]uint64, len(tr.queues)), make([][]uint64, len(tr.queues))
	over := make(chan struct{})
	for i, q := range tr.queues {
		senders.Go(func() {
			for n := uint64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				r := append1(t.Context(), tr.s, q, storetest.NewMessage(binary.BigEndian.AppendUint64(nil, n)))
				switch {
				case r.Err == nil:
					tr.sent[i] = append(tr.sent[i], n)
				case errors.Is(r.Err, queue.ErrUnavailable):
					mu.Lock()
					tr.refused++
					mu.Unlock()
				case !errors.Is(r.Err, queue.ErrQuota):
					t.Errorf("append: %v", r.Err)
					return
				}
			}
		})
		recipients.Go(func() { tr.got[i] = receive(t, tr.s, q, over) })
	}
	senders.Wait()
	close(over)
	recipients.Wait()
}

// receive takes messages until over is closed and the queue is empty.
func receive(t *testing.T, s *Store, q queue.Ref, over <-chan struct{}) (got []uint64) {
	var last queue.MessageID
	for {
		last1 := false
		select {
		case <-over:
			last1 = true
		default:
		}
		h := head1(t.Context(), s, q)
		for h.Err == nil && h.Message != nil {
			// A head may be seen again when the answer to its removal was lost; a recipient knows it by its id.
			if h.Message.ID != last && !h.Message.Quota {
				got = append(got, binary.BigEndian.Uint64(h.Message.Body))
			}
			last = h.Message.ID
			h = acknowledge1(t.Context(), s, q, last)
		}
		if h.Err != nil && !errors.Is(h.Err, queue.ErrUnavailable) {
			t.Errorf("receive: %v", h.Err)
			return got
		}
		if last1 && h.Err == nil {
			return got
		}
	}
}

func (tr *traffic) check(t *testing.T, url string) {
	t.Helper()
	total := 0
	for i := range tr.queues {
		if len(tr.sent[i]) != len(tr.got[i]) {
			t.Errorf("queue %d: %d accepted, %d arrived", i, len(tr.sent[i]), len(tr.got[i]))
			continue
		}
		for j := range tr.sent[i] {
			if tr.sent[i][j] != tr.got[i][j] {
				t.Fatalf("queue %d: message %d arrived in the place of %d", i, tr.got[i][j], tr.sent[i][j])
			}
		}
		total += len(tr.sent[i])
	}
	if n := pgtest.Int(t, url, "SELECT count(*) FROM messages"); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	t.Logf("%d messages accepted, %d refused", total, tr.refused)
	if total == 0 {
		t.Error("no traffic")
	}
}

// All connections are cut again and again while messages flow.
func TestKilledConnections(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	tr := &traffic{s: s}
	for range 8 {
		tr.queues = append(tr.queues, newQueue(t, s))
	}
	stop := make(chan struct{})
	killed := int64(0)
	go func() {
		defer close(stop)
		for range 20 {
			pg.Pause(t.Context(), 50*time.Millisecond)
			killed += pgtest.Int(t, url, killAll)
		}
	}()
	tr.run(t, stop)
	tr.check(t, url)
	t.Logf("%d connections were cut", killed)
}

// The database is away for shorter than Wait: everything waits, nothing fails.
func TestShortOutage(t *testing.T) {
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	log := new(relay.Output)
	s := openAt(t, Options{URL: proxy.URL, Wait: 10 * time.Second, Logger: zerolog.New(log)})
	tr := &traffic{s: s, queues: []queue.Ref{newQueue(t, s), newQueue(t, s)}}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for _, how := range []pgtest.Mode{pgtest.Refuse, pgtest.Silent, pgtest.Refuse} {
			proxy.Set(how)
			pg.Pause(t.Context(), 300*time.Millisecond)
			proxy.Set(pgtest.Pass)
			pg.Pause(t.Context(), 500*time.Millisecond)
		}
	}()
	tr.run(t, stop)
	tr.check(t, url)
	if tr.refused > 0 {
		t.Errorf("%d messages were refused", tr.refused)
	}
}

// The database is away for longer than Wait: operations fail within a bound, and what failed did not happen.
func TestLongOutage(t *testing.T) {
	const limit = 500 * time.Millisecond
	for name, how := range map[string]pgtest.Mode{"refused": pgtest.Refuse, "silent": pgtest.Silent, "answers lost": pgtest.Mute} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Open(t)
			proxy := pgtest.NewProxy(t, url)
			log := new(relay.Output)
			s := openAt(t, Options{URL: proxy.URL, Wait: limit, Logger: zerolog.New(log)})
			full, other := newQueue(t, s), newQueue(t, s)
			first := storetest.NewMessage([]byte("first"))
			if r := append1(t.Context(), s, full, first); r.Err != nil {
				t.Fatal(r.Err)
			}
			proxy.Set(how)
			var wait sync.WaitGroup
			start := time.Now()
			for _, q := range []queue.Ref{full, other} {
				for range 4 {
					wait.Go(func() {
						if r := append1(t.Context(), s, q, storetest.NewMessage(nil)); !errors.Is(r.Err, queue.ErrUnavailable) {
							t.Errorf("append: %v", r.Err)
						}
					})
				}
			}
			wait.Go(func() {
				if h := acknowledge1(t.Context(), s, full, first.ID); !errors.Is(h.Err, queue.ErrUnavailable) {
					t.Errorf("acknowledge: %v", h.Err)
				}
			})
			wait.Go(func() {
				if _, err := s.BySender(t.Context(), []queue.ID{{1}}, true); !errors.Is(err, queue.ErrUnavailable) {
					t.Errorf("look-up: %v", err)
				}
			})
			wait.Wait()
			if took := time.Since(start); took > 4*limit+2*time.Second {
				t.Errorf("errors came after %v", took)
			}
			proxy.Set(pgtest.Pass)
			recovered(t, s, other)
			if h := head1(t.Context(), s, full); h.Err != nil || (h.Message != nil && h.Message.ID != first.ID) {
				t.Errorf("another head than before the outage (%v)", h.Err)
			}
			// The acknowledgement that failed may have been carried out since; doing it again settles that.
			if h := acknowledge1(t.Context(), s, full, first.ID); h.Err != nil || h.Message != nil {
				t.Errorf("acknowledge after the outage: %v, or a message that was refused is there", h.Err)
			}
			if n := pgtest.Int(t, url, "SELECT count(*) FROM messages"); n != 1 {
				t.Errorf("%d rows besides the one of now: messages that were refused are stored", n-1)
			}
			if gone, back := log.Count("database is away"), log.Count("database is back"); gone != 1 || back != 1 {
				t.Errorf("the log says %d times that the store is away and %d times that it is back", gone, back)
			}
		})
	}
}

// recovered waits until appends work again.
func recovered(t *testing.T, s *Store, q queue.Ref) {
	t.Helper()
	for range 100 {
		r := append1(t.Context(), s, q, storetest.NewMessage([]byte("after")))
		if r.Err == nil {
			if !r.WasEmpty {
				t.Error("the queue was not empty")
			}
			return
		}
	}
	t.Fatal("the store does not recover")
}

// The answer to a COPY is lost, once before and once after the database has committed it.
func TestLostAnswer(t *testing.T) {
	url := pgtest.Open(t)
	proxy := pgtest.NewProxy(t, url)
	s := openAt(t, Options{URL: proxy.URL})
	q := newQueue(t, s)
	warm := storetest.NewMessage(nil) // opens the writers' sessions
	append1(t.Context(), s, q, warm)
	acknowledge1(t.Context(), s, q, warm.ID)
	for i := range 10 {
		m := storetest.NewMessage(make([]byte, 16048))
		done := make(chan queue.Appended)
		proxy.Set([]pgtest.Mode{pgtest.Mute, pgtest.Silent}[i%2])
		go func() { done <- append1(t.Context(), s, q, m) }()
		for i%2 == 0 && pgtest.Int(t, url, "SELECT count(*) FROM messages") == 0 {
		}
		proxy.Set(pgtest.Refuse) // cuts the connections
		proxy.Set(pgtest.Pass)
		if r := <-done; r.Err != nil || !r.WasEmpty {
			t.Fatalf("round %d: was empty %t, %v", i, r.WasEmpty, r.Err)
		}
		if n := pgtest.Int(t, url, "SELECT count(*) FROM messages"); n != 1 {
			t.Fatalf("round %d: %d rows", i, n)
		}
		if h := acknowledge1(t.Context(), s, q, m.ID); h.Err != nil || h.Message != nil {
			t.Fatalf("round %d: acknowledge: %v", i, h.Err)
		}
	}
}

func TestSecondProcess(t *testing.T) {
	url := pgtest.Open(t)
	s := openAt(t, Options{URL: url})
	if _, err := Open(t.Context(), Options{URL: url}); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second process: %v", err)
	}
	s.Close()
	openAt(t, Options{URL: url})
}

// A process that loses its lock to another stores nothing any more.
func TestTakenOver(t *testing.T) {
	url := pgtest.Open(t)
	log := new(relay.Output)
	s := openAt(t, Options{URL: url, Logger: zerolog.New(log)})
	q := newQueue(t, s)
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	next := owner.New(config, zerolog.Nop())
	got := make(chan error)
	go func() { got <- next.Acquire(t.Context()) }()
	for waiting := true; waiting; {
		pgtest.Int(t, url, killAll)
		select {
		case err := <-got:
			if err != nil {
				t.Skip("the old process was faster: it has its lock again") // rare, and right
			}
			waiting = false
		default:
		}
	}
	defer next.Release()
	if err := next.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := append1(t.Context(), s, q, storetest.NewMessage(nil))
	if !errors.Is(r.Err, queue.ErrUnavailable) {
		t.Fatalf("append after the loss: %v", r.Err)
	}
	<-s.Lost()
	if n := pgtest.Int(t, url, "SELECT count(*) FROM messages"); n != 0 {
		t.Fatal("the old process has stored a message")
	}
	if _, err := s.BySender(t.Context(), []queue.ID{{}}, false); !errors.Is(err, queue.ErrUnavailable) {
		t.Fatalf("look-up after the loss: %v", err)
	}
	if log.Count("has taken the database") != 1 {
		t.Error("the operator was not told once")
	}
}

func TestNewerSchema(t *testing.T) {
	url := pgtest.Open(t)
	from, to, err := Migrate(t.Context(), url)
	if err != nil || from != 0 || to < 1 {
		t.Fatalf("migrated from %d to %d: %v", from, to, err)
	}
	if from, again, err := Migrate(t.Context(), url); err != nil || from != to || again != to {
		t.Fatalf("a second time from %d to %d: %v", from, again, err)
	}
	pgtest.Exec(t, url, "INSERT INTO schema_migrations (version, name) VALUES (1000, 'future')")
	var newer *pg.NewerSchemaError
	if _, err := Open(t.Context(), Options{URL: url}); !errors.As(err, &newer) || newer.Have != 1000 {
		t.Fatalf("a newer schema: %v", err)
	}
	if _, _, err := Migrate(t.Context(), url); !errors.As(err, &newer) {
		t.Fatalf("a newer schema: %v", err)
	}
}
