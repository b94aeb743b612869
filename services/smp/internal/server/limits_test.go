package server_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/smp"
)

// creations are n commands that create queues.
func creations(n int) []*client.Request {
	requests := make([]*client.Request, n)
	for i := range requests {
		k := auth.NewEd25519()
		requests[i] = &client.Request{Command: smp.NEW{
			AuthKey: k.Public(), DHKey: auth.NewX25519().Public(), Queue: &smp.QueueRequest{Mode: smp.ModeMessaging},
		}, Key: k}
	}
	return requests
}

// create sends n of them in one block, and returns how many queues were made; fewer if the connection ends.
func (p *peer) create(n int) (made int, err error) {
	if err := p.conn.Send(creations(n)...); err != nil {
		return 0, err
	}
	for range n {
		answer, err := p.fresh()
		if err != nil {
			return made, err
		}
		response, err := smp.ParseResponse(p.conn.Version(), answer.Command)
		if err != nil {
			return made, err
		}
		if _, ok := response.(smp.IDS); ok {
			made++
		}
	}
	return made, nil
}

// TestNewRate creates queues faster than a connection may: first at once, then held up, then the connection is closed.
//
// Spec: smp.md 7.6
func TestNewRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := smptest.Start(t, smptest.Options{Pipes: true, Config: func(c *server.Config) { c.NewRate = 48 }})
		p := dial(t, r, client.Options{})
		begun := time.Now()
		for range 6 { // 12 per minute for a connection, saved for ten minutes
			if made, err := p.create(20); made != 20 || err != nil {
				t.Fatal(made, err)
			}
		}
		if passed := time.Since(begun); passed != 0 {
			t.Errorf("held up for %v", passed)
		}
		p.want("PONG", ping())
		if made, err := p.create(2); made != 2 || err != nil || time.Since(begun) != 5*time.Second {
			t.Errorf("%d, %v, after %v", made, err, time.Since(begun))
		}
		p.want("PONG", ping())
		if made, err := p.create(1); made != 0 || err == nil {
			t.Errorf("%d, %v: the connection goes on", made, err)
		}
		if n := r.Store.Count(); n != 122 {
			t.Errorf("%d queues", n)
		}
		again := dial(t, r, client.Options{})
		if made, err := again.create(1); made != 1 || err != nil {
			t.Errorf("another connection: %d, %v", made, err)
		}
		if n := r.Server.Snapshot().CreatedTooFast; n != 1 {
			t.Errorf("%d are counted", n)
		}
	})
}

// TestStopWhileHeldUp stops the relay while a connection waits for its turn.
func TestStopWhileHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := smptest.Start(t, smptest.Options{Pipes: true, Config: func(c *server.Config) { c.NewRate = 4 * 12 }})
		p := dial(t, r, client.Options{})
		for range 6 {
			if _, err := p.create(20); err != nil {
				t.Fatal(err)
			}
		}
		p.send(creations(1)...)
		synctest.Wait()
		begun := time.Now()
		r.Stop(t)
		if passed := time.Since(begun); passed != 0 {
			t.Errorf("the relay waited for %v", passed)
		}
	})
}

func TestRatesOff(t *testing.T) {
	r := smptest.Start(t, smptest.Options{})
	p := dial(t, r, client.Options{})
	for range 50 {
		if made, err := p.create(20); made != 20 || err != nil {
			t.Fatal(made, err)
		}
	}
}

// TestMaxQueues fills the relay. It answers as if it took no new queues at all; all else goes on.
//
// Spec: smp.md 9.2 step 1
func TestMaxQueues(t *testing.T) {
	r := smptest.Start(t, smptest.Options{Config: func(c *server.Config) { c.MaxQueues = 3 }})
	p := dial(t, r, client.Options{})
	first := p.newPlainQueue(true)
	p.newPlainQueue(true)
	p.newPlainQueue(true)
	p.want("ERR AUTH", creations(1)[0])
	p.want("OK", first.put([]byte("goes on")))
	p.want("OK", first.own(smp.DEL{}))
	p.newPlainQueue(true)
	p.want("ERR AUTH", creations(1)[0])
	if n := r.Server.Snapshot().QueuesRefused; n != 2 {
		t.Errorf("%d are counted", n)
	}
}

// TestMaxQueuesAtOnce has many connections that fill the relay together.
func TestMaxQueuesAtOnce(t *testing.T) {
	const most, connections, each = 25, 10, 7
	o := raceOptions(smptest.DefaultQuota)
	o.Config = func(c *server.Config) { c.MaxQueues = most }
	r := smptest.Start(t, o)
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range connections {
		p := dial(t, r, client.Options{})
		wg.Go(func() {
			made, err := p.create(each)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			total += made
			mu.Unlock()
		})
	}
	wg.Wait()
	if stored := r.Store.Count(); total > most || int64(total) != stored {
		t.Fatalf("%d queues were made and %d are there, of %d", total, stored, most)
	}
	// Some may have been refused for others that were just being counted. Now there are none.
	made, err := dial(t, r, client.Options{}).create(most)
	if err != nil || total+made != most {
		t.Errorf("%d and then %d queues, of %d: %v", total, made, most, err)
	}
}
