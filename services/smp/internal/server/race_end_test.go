package server_test

import (
	"strings"
	"sync"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/smp"
)

// TestDeleteRacesSend: once a SEND was refused all are, and the recipient of a deleted queue hears nothing but DELD.
func TestDeleteRacesSend(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice, bob, phone := dial(t, r, client.Options{}), dial(t, r, client.Options{}), dial(t, r, client.Options{})
	for i := range trials() {
		q := alice.newPlainQueue(true)
		var racing sync.WaitGroup
		racing.Go(func() {
			refused := false
			for range 4 {
				got, err := bob.tryAsk(q.put([]byte("hello")))
				if err != nil {
					t.Errorf("SEND: %v", err)
					return
				}
				switch text := responseText(got); {
				case text == "ERR AUTH":
					refused = true
				case text != "OK" || refused:
					t.Errorf("SEND: %s, refused before: %v", text, refused)
				}
			}
		})
		deletes := []*peer{phone, alice}[i%2]
		racing.Go(func() {
			if got, err := deletes.tryAsk(q.own(smp.DEL{})); err != nil || got.Tag() != "OK" {
				t.Errorf("DEL: %v %v", got, err)
			}
		})
		racing.Wait()
		if deletes == phone {
			a := &peerReading{p: alice, q: q}
			if err := a.until(func() bool { return a.ended }); err != nil {
				t.Fatalf("trial %d: %v", i, err)
			}
		}
		alice.want("ERR AUTH", q.own(smp.SUB{}))
		alice.kept = nil
	}
	if n := r.Server.Subscriptions(); n != 0 {
		t.Errorf("%d subscriptions to deleted queues", n)
	}
}

// TestDeleteRacesSub deletes queues while another connection subscribes to them. Each SUB is answered, and the
// connection goes on.
func TestDeleteRacesSub(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	alice, phone := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	const queues = 6 // more than are answered together with their messages
	for i := range trials() / 4 {
		var subs, dels []*client.Request
		for range queues {
			q := alice.newPlainQueue(false)
			alice.want("OK", q.put([]byte("hello")))
			subs, dels = append(subs, q.own(smp.SUB{})), append(dels, q.own(smp.DEL{}))
		}
		var racing sync.WaitGroup
		racing.Go(func() { _ = phone.conn.Send(dels...) })
		racing.Go(func() { _ = alice.conn.Send(subs...) })
		racing.Wait()
		for what, p := range map[string]*peer{"SUB": alice, "DEL": phone} {
			for answers := 0; answers < queues; {
				got, err := p.next()
				if err != nil {
					t.Fatalf("trial %d: %s: %v", i, what, err)
				}
				if len(got.CorrID) > 0 {
					answers++
					if text := string(got.Command); what == "DEL" && text != "OK" || what == "SUB" && text != "SOK 0" && text != "ERR AUTH" {
						t.Fatalf("trial %d: %s: %s", i, what, text)
					}
				}
			}
		}
		alice.want("PONG", ping())
		alice.kept = nil
	}
}

// TestTakeoverDuel subscribes to one queue from two connections at once. One of them has it in the end, and the relay
// knows which, in every respect.
func TestTakeoverDuel(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(smptest.DefaultQuota))
	peers := []*peer{dial(t, r, client.Options{}), dial(t, r, client.Options{})}
	bob := dial(t, r, client.Options{})
	for i := range trials() / 2 {
		q := bob.newPlainQueue(false)
		var racing sync.WaitGroup
		for _, p := range peers {
			racing.Go(func() {
				for range 3 {
					if got, err := p.tryAsk(q.own(smp.SUB{})); err != nil || got.Tag() != "SOK" {
						t.Errorf("SUB: %v %v", got, err)
					}
				}
			})
		}
		racing.Wait()
		bob.want("OK", q.put([]byte("to whom?")))
		subscribed, has := 0, 0
		for _, p := range peers {
			info := p.ask(q.own(smp.QUE{})).(smp.INFO)
			got := 0
			for _, k := range p.kept {
				if strings.HasPrefix(string(k.Command), "MSG ") && string(k.EntityID) == string(q.recipient) {
					got++
				}
			}
			p.kept = nil
			is := 0
			if strings.Contains(string(info.JSON), "noSub") {
				is = 1
			} else {
				p.want("MSG", q.own(smp.GET{})) // prohibited on a subscribed connection only
			}
			if is != got {
				t.Fatalf("trial %d: subscribed: %d, received: %d", i, is, got)
			}
			subscribed, has = subscribed+is, has+got
		}
		if subscribed != 1 || has != 1 {
			t.Fatalf("trial %d: %d are subscribed, and %d received the message", i, subscribed, has)
		}
	}
}

// TestGetRacesAck reads one queue with SUB and with GET. Whoever acknowledges first deletes; nothing is lost, and
// nobody gets a message again that it has acknowledged. Spec: smp.md 9.6
func TestGetRacesAck(t *testing.T) {
	t.Parallel()
	r := smptest.Start(t, raceOptions(1<<20))
	alice, phone, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{}), dial(t, r, client.Options{})
	q := alice.newPlainQueue(true)
	const last = "last"
	a := &peerReading{p: alice, q: q}
	var reading sync.WaitGroup
	reading.Go(func() {
		done := func() bool { return len(a.acked) > 0 && a.acked[len(a.acked)-1] == last }
		if err := a.until(done); err != nil {
			t.Error(err)
		}
	})
	stop := make(chan struct{})
	var getting sync.WaitGroup
	getting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			got, err := phone.tryAsk(q.own(smp.GET{}))
			if msg, ok := got.(smp.MSG); ok && err == nil {
				got, err = phone.tryAsk(q.own(smp.ACK{MessageID: msg.MessageID}))
			}
			if err != nil || got.Tag() != "OK" {
				t.Errorf("GET, ACK: %v %v", got, err)
				return
			}
		}
	})
	for i := range trials() {
		bob.want("OK", q.put([]byte{byte(i), byte(i >> 8)}))
	}
	close(stop)
	getting.Wait()
	// What comes now is the subscriber's alone.
	bob.want("OK", q.put([]byte(last)))
	reading.Wait()
	counts := make(map[string]int)
	for _, body := range a.seen {
		if counts[body]++; counts[body] > 1 {
			t.Fatal("the subscriber got a message twice")
		}
	}
}
