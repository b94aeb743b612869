package server_test

import (
	"sync"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// dialService connects a peer as a service.
func dialService(t *testing.T, r *smptest.Relay, v *client.Service) *peer {
	t.Helper()
	conn, err := r.DialService(t, client.Options{Service: v}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	p := &peer{t: t, conn: conn, in: make(chan wire.Transmission, 1<<16)}
	go p.read()
	return p
}

// all is NSUBS.
func (p *peer) all() *client.Request {
	return &client.Request{Command: smp.NSUBS{}, Entity: p.conn.ServiceID(), Key: p.conn.ServiceKey()}
}

// TestServiceRaces: two services, one with two connections, and an ordinary client subscribe to the same notifiers at the
// same time, while others end and messages come. Whoever subscribes last is told.
func TestServiceRaces(t *testing.T) {
	t.Parallel()
	o := raceOptions(1 << 20)
	edit := o.Config
	o.Config = func(c *server.Config) { edit(c); c.NotificationInterval = 2 * time.Millisecond }
	r := smptest.Start(t, o)
	first := smptest.NewService(t, smp.RoleNotifier, key.Ed25519, 1)
	second := smptest.NewService(t, smp.RoleNotifier, key.Ed448, 3)
	alice, bob := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	racers := []*peer{
		dialService(t, r, first), dialService(t, r, first), dialService(t, r, second), dial(t, r, client.Options{}),
	}
	for range trials() / 20 {
		serviceRace(t, alice, bob, racers)
	}
	if err := smptest.Eventually(func() bool { return r.Server.Notifications().Waiting == 0 }); err != nil {
		t.Fatalf("%d notifications wait for notifiers that are gone", r.Server.Notifications().Waiting)
	}
}

func serviceRace(t *testing.T, alice, bob *peer, racers []*peer) {
	t.Helper()
	q := alice.newPlainQueue(false)
	n, err := alice.setNotifier(q, auth.NewEd25519())
	if err != nil {
		t.Fatal(err)
	}
	var racing sync.WaitGroup
	for _, p := range racers {
		racing.Go(func() {
			for range 3 {
				if got, err := p.tryAsk(n.nsub()); err != nil || got.Tag() != "SOK" {
					t.Errorf("NSUB: %v %v", got, err)
				}
				if p.conn.ServiceID() == nil {
					continue
				}
				if got, err := p.tryAsk(p.all()); err != nil || got.Tag() != "SOKS" {
					t.Errorf("NSUBS: %v %v", got, err)
				}
			}
		})
	}
	racing.Go(func() {
		for range 5 {
			if got, err := bob.tryAsk(q.putNotify("while they race")); err != nil || got.Tag() != "OK" {
				t.Errorf("SEND: %v %v", got, err)
			}
		}
	})
	racing.Wait()
	for i, p := range racers {
		p.kept = nil
		p.want("SOK", n.nsub())
		bob.want("OK", q.putNotify("who is told?"))
		told := &notified{messages: make(map[string]int), deleted: make(map[string]int)}
		if err := told.until(p, func() bool { return told.messages[string(n.id)] > 0 }); err != nil {
			t.Fatalf("racer %d: %v", i, err)
		}
	}
	// The last subscriber, the ordinary client, hears of the end.
	alice.want("OK", q.own(smp.NDEL{}))
	told := &notified{messages: make(map[string]int), deleted: make(map[string]int)}
	last := racers[len(racers)-1]
	if err := told.until(last, func() bool { return told.deleted[string(n.id)] > 0 }); err != nil {
		t.Fatal(err)
	}
	for _, p := range racers {
		p.want("PONG", ping())
		p.kept = nil
	}
}
