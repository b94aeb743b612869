package server_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// trials is how often each race is run.
func trials() int {
	if testing.Short() {
		return 50
	}
	return 400
}

// peerReading is the recipient's side of a queue on one connection: it acknowledges what it gets, and knows what may not
// happen.
type peerReading struct {
	p        *peer
	q        *testQueue
	limit    int           // of messages to acknowledge; 0: all
	inFlight smp.MessageID // nil: none
	seen     []string      // bodies, as delivered
	acked    []string      // bodies whose acknowledgement was accepted
	last     string        // body of the message in flight
	asked    *client.Request
	ended    bool // by another connection that subscribed, or deleted the queue
}

// take handles one transmission.
func (r *peerReading) take(t wire.Transmission) error {
	response, err := smp.ParseResponse(r.p.conn.Version(), t.Command)
	if err != nil {
		return err
	}
	answer := r.asked != nil && bytes.Equal(t.CorrID, r.asked.CorrID)
	if len(t.CorrID) > 0 && !answer {
		return nil // of another command, as SUB
	}
	if answer {
		r.asked = nil
		if e, ok := response.(smp.ERR); ok {
			if e.Err == smp.ErrNoMsg || e.Err == smp.ErrAuth {
				r.ended, r.inFlight = true, nil
				return nil
			}
			return e.Err
		}
		r.acked, r.inFlight = append(r.acked, r.last), nil
	}
	if !bytes.Equal(t.EntityID, r.q.recipient) {
		return nil
	}
	var msg smp.MSG
	switch e := response.(type) {
	case smp.MSG:
		msg = e
	case smp.END, smp.DELD:
		r.ended = true
		return nil
	default:
		return nil
	}
	if r.ended {
		return fmt.Errorf("a message after the end of the subscription")
	}
	if r.inFlight != nil && !bytes.Equal(r.inFlight, msg.MessageID) {
		return fmt.Errorf("two messages in flight")
	}
	m, err := r.q.open(msg)
	if err != nil {
		return err
	}
	if slices.Contains(r.acked, string(m.Body)) {
		return fmt.Errorf("%q again after it was acknowledged", string(m.Body))
	}
	r.seen = append(r.seen, string(m.Body))
	if r.inFlight != nil {
		return nil // redelivered after SUB; it is being acknowledged, or will not be
	}
	r.last, r.inFlight = string(m.Body), bytes.Clone(msg.MessageID)
	if r.limit > 0 && len(r.acked) >= r.limit {
		return nil
	}
	r.asked = r.q.own(smp.ACK{MessageID: r.inFlight})
	return r.p.conn.Send(r.asked)
}

// until takes transmissions until done.
func (r *peerReading) until(done func() bool) error {
	for !done() {
		t, err := r.p.next()
		if err != nil {
			return fmt.Errorf("%w; seen %q, acknowledged %q", err, r.seen, r.acked)
		}
		if err := r.take(t); err != nil {
			return err
		}
	}
	return nil
}

// rest takes what is still on its way to a connection: everything before the answer to PING.
func (r *peerReading) rest() error {
	p := ping()
	if err := r.p.conn.Send(p); err != nil {
		return err
	}
	for {
		t, err := r.p.next()
		if err != nil || bytes.Equal(t.CorrID, p.CorrID) {
			return err
		}
		if err := r.take(t); err != nil {
			return err
		}
	}
}

// equal compares lists of messages.
func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s %q, want %q", what, got, want)
	}
}

// TestSubRacesSend: a message sent while the recipient subscribes is delivered, once. Spec: smp.md 10.2
func TestSubRacesSend(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	for i := range trials() {
		q := alice.newPlainQueue(false)
		body := fmt.Sprint("message ", i)
		var sending sync.WaitGroup
		sending.Go(func() {
			if got, err := bob.tryAsk(q.put([]byte(body))); err != nil || got.Tag() != "OK" {
				t.Errorf("SEND: %v %v", got, err)
			}
		})
		alice.send(q.own(smp.SUB{}))
		reads := &peerReading{p: alice, q: q}
		if err := reads.until(func() bool { return len(reads.acked) == 1 }); err != nil {
			t.Fatalf("trial %d: %v", i, err)
		}
		sending.Wait()
		if err := reads.rest(); err != nil {
			t.Fatal(err)
		}
		equal(t, "seen", reads.seen, body)
	}
}

// TestSubAndSendInOneBlock: the same within a block, in either order.
func TestSubAndSendInOneBlock(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice := dial(t, r, client.Options{})
	for i := range trials() {
		q := alice.newPlainQueue(false)
		one, two := q.put([]byte("one")), q.put([]byte("two"))
		blocks := [][]*client.Request{
			{q.own(smp.SUB{}), one, two},
			{one, q.own(smp.SUB{}), two},
			{one, two, q.own(smp.SUB{})},
			{q.own(smp.SUB{}), one, two, ping(), ping(), ping()},
		}
		alice.send(blocks[i%len(blocks)]...)
		reads := &peerReading{p: alice, q: q}
		if err := reads.until(func() bool { return len(reads.acked) == 2 }); err != nil {
			t.Fatalf("trial %d: %v", i, err)
		}
		if err := reads.rest(); err != nil {
			t.Fatal(err)
		}
		equal(t, "seen", reads.seen, "one", "two")
	}
}

// TestSubAgainRacesSend subscribes again and again, with messages in the same block and from another connection. What
// was acknowledged does not come again.
func TestSubAgainRacesSend(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	for i := range trials() {
		q := alice.newPlainQueue(i%2 == 0)
		var sending sync.WaitGroup
		sending.Go(func() {
			if got, err := bob.tryAsk(q.put([]byte("bob's"))); err != nil || got.Tag() != "OK" {
				t.Errorf("SEND: %v %v", got, err)
			}
		})
		alice.send(q.own(smp.SUB{}), q.put([]byte("alice's")))
		alice.send(q.own(smp.SUB{}))
		reads := &peerReading{p: alice, q: q}
		if err := reads.until(func() bool { return len(reads.acked) == 2 }); err != nil {
			t.Fatalf("trial %d: %v", i, err)
		}
		sending.Wait()
		if err := reads.rest(); err != nil {
			t.Fatalf("trial %d: %v", i, err)
		}
	}
}

// TestTakeoverWhileSending: what one connection did not acknowledge, the next gets; nothing is lost, and nothing
// acknowledged before comes again.
func TestTakeoverWhileSending(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	bob := dial(t, r, client.Options{})
	first, second := dial(t, r, client.Options{}), dial(t, r, smptest.At(8))
	want := []string{"1", "2", "3", "4"}
	for i := range trials() / 2 {
		q := first.newPlainQueue(true)
		a, b := &peerReading{p: first, q: q, limit: 1 + i%3}, &peerReading{p: second, q: q}
		var sending, reading sync.WaitGroup
		sending.Go(func() {
			for _, body := range want {
				if got, err := bob.tryAsk(q.put([]byte(body))); err != nil || got.Tag() != "OK" {
					t.Errorf("SEND: %v %v", got, err)
				}
			}
		})
		reading.Go(func() {
			if err := a.until(func() bool { return a.ended || len(a.acked) == a.limit }); err != nil {
				t.Errorf("trial %d, first: %v", i, err)
			}
		})
		switch i % 4 {
		case 0:
			sending.Wait()
		case 1:
			reading.Wait()
		}
		second.send(q.own(smp.SUB{}))
		if err := b.until(func() bool { return len(b.acked) > 0 && b.acked[len(b.acked)-1] == "4" }); err != nil {
			t.Fatalf("trial %d, second: %v", i, err)
		}
		sending.Wait()
		reading.Wait()
		for _, one := range []*peerReading{a, b} {
			if err := one.rest(); err != nil {
				t.Fatalf("trial %d: %v", i, err)
			}
		}
		// An acknowledgement that is on its way when the other connection subscribes may come too late for it.
		if n := len(a.acked); n > 0 && len(b.acked) > 0 && a.acked[n-1] == b.acked[0] {
			b.acked = b.acked[1:]
		}
		equal(t, "acknowledged", append(a.acked, b.acked...), want...)
		first, second = second, first
	}
}

// TestAckRacesSend: the queue is empty again and again while messages come. They arrive in order, one at a time.
func TestAckRacesSend(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(1<<20))
	alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	q := alice.newPlainQueue(true)
	a := &peerReading{p: alice, q: q}
	var want []string
	for i := range 5 * trials() {
		want = append(want, fmt.Sprint(i))
	}
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; i < len(want); {
			var block []*client.Request
			for range min(1+i%3, len(want)-i) {
				block = append(block, q.put([]byte(want[i])))
				i++
			}
			if len(block) > 1 {
				bob.send(block[:len(block)-1]...)
			}
			if got, err := bob.tryAsk(block[len(block)-1]); err != nil || got.Tag() != "OK" {
				t.Errorf("SEND: %v %v", got, err)
				return
			}
		}
	})
	if err := a.until(func() bool { return len(a.acked) == len(want) }); err != nil {
		t.Fatal(err)
	}
	sending.Wait()
	if err := a.rest(); err != nil {
		t.Fatal(err)
	}
	equal(t, "seen", a.seen, want...)
}

// TestChecklist32TwoSenders sends from two connections at once, fifty rounds: one message is pushed, the other comes with the
// answer to ACK.
func TestChecklist32TwoSenders(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice := dial(t, r, client.Options{})
	senders := []*peer{dial(t, r, client.Options{}), dial(t, r, client.Options{})}
	q := alice.newPlainQueue(true)
	for round := range 50 {
		var sending sync.WaitGroup
		for i, bob := range senders {
			sending.Go(func() {
				if got, err := bob.tryAsk(q.put([]byte{byte(i)})); err != nil || got.Tag() != "OK" {
					t.Errorf("SEND: %v %v", got, err)
				}
			})
		}
		sending.Wait()
		a := &peerReading{p: alice, q: q}
		if err := a.until(func() bool { return len(a.acked) == 2 }); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if a.seen[0] == a.seen[1] {
			t.Fatalf("round %d: a message came twice", round)
		}
	}
}
