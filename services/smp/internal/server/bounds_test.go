package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Bounds of what may wait for one connection.
const (
	maxMessages = 16 + 8 // and those of one answer
	maxReplies  = 512 + 255
	maxGroups   = 128
	maxHeld     = maxMessages + 8 + 8 // and those being written, and those of the answer that waits for room
)

// pipes is a relay in a bubble, where a write waits until it is read.
func pipes(t *testing.T) *smptest.Relay {
	t.Helper()
	return smptest.Start(t, smptest.Options{Pipes: true})
}

// flood sends blocks until the relay closes the connection, and counts those that it took.
func flood(p *peer, block func() []*client.Request) (taken func() int) {
	n, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		for p.conn.Send(block()...) == nil {
			n++
		}
	}()
	return func() int { <-done; return n }
}

func pings(n int) []*client.Request {
	block := make([]*client.Request, n)
	for i := range block {
		block[i] = ping()
	}
	return block
}

// checkWaiting fails if more waits for a connection than may.
func checkWaiting(t *testing.T, r *smptest.Relay) {
	t.Helper()
	groups, replies, messages, _ := r.Server.Waiting()
	if groups > maxGroups || replies > maxReplies || messages > maxMessages {
		t.Errorf("%d groups, %d replies and %d messages wait", groups, replies, messages)
	}
}

// TestMuteClientStopsItself: a client that never reads is not read from either, does not disturb others, and is
// disconnected after a while.
func TestMuteClientStopsItself(t *testing.T) {
	for name, block := range map[string]func() []*client.Request{
		"full blocks": func() []*client.Request { return pings(255) },
		"one by one":  func() []*client.Request { return pings(1) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := pipes(t)
				mute, bob := dialMute(t, r, client.Options{}), dial(t, r, client.Options{})
				start := time.Now()
				taken := flood(mute, block)
				synctest.Wait()
				checkWaiting(t, r)
				bob.newPlainQueue(true)
				if time.Since(start) > 0 {
					t.Error("the other client had to wait")
				}
				n := taken()
				if took := time.Since(start); took < time.Minute || took > 5*time.Minute {
					t.Errorf("disconnected after %v", took)
				}
				if n > maxGroups+8 {
					t.Errorf("%d blocks were taken", n)
				}
				synctest.Wait()
				if n := r.Server.Connections(); n != 1 {
					t.Errorf("%d connections are left", n)
				}
			})
		})
	}
}

// fill creates queues with a message of full size in each.
func fill(p *peer, n int, subscribe bool) []*testQueue {
	p.t.Helper()
	queues := make([]*testQueue, n)
	for i := range queues {
		queues[i] = p.newPlainQueue(subscribe)
		p.want("OK", queues[i].put(make([]byte, smp.MaxBody(smp.MaxVersion))))
	}
	return queues
}

// commands is one command for each queue.
func commands(queues []*testQueue, cmd smp.Command) []*client.Request {
	block := make([]*client.Request, len(queues))
	for i, q := range queues {
		block[i] = q.own(cmd)
	}
	return block
}

// lendingStore gives every message it is asked for as a copy, and counts those that are still in use.
type lendingStore struct {
	server.Store
	lent atomic.Int64
}

func (s *lendingStore) lend(heads []queue.Head) {
	for i, h := range heads {
		if h.Message == nil {
			continue
		}
		m := *h.Message
		m.Body = bytes.Clone(m.Body)
		heads[i].Message = &m
		s.lent.Add(1)
		runtime.AddCleanup(&m, func(s *lendingStore) { s.lent.Add(-1) }, s)
	}
}

func (s *lendingStore) Heads(ctx context.Context, qs []queue.Ref, results []queue.Head) {
	s.Store.Heads(ctx, qs, results)
	s.lend(results)
}

func (s *lendingStore) Acknowledge(ctx context.Context, in []queue.Acknowledgement, results []queue.Head) {
	s.Store.Acknowledge(ctx, in, results)
	s.lend(results)
}

// alive counts the messages in use, after giving the others the chance to go until only few are left.
func (s *lendingStore) alive(few int) int {
	for range 100 {
		runtime.GC()
		if s.lent.Load() <= int64(few) {
			break
		}
	}
	return int(s.lent.Load())
}

// TestMuteClientLeavesMessages: what a client does not read stays in the store, whichever command asked for it.
func TestMuteClientLeavesMessages(t *testing.T) {
	const queues = 100
	for _, how := range []string{"pushed", "SUB", "GET", "ACK", "SUB one by one", "GET one by one"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &lendingStore{Store: memstore.New(smptest.DefaultQuota)}
				r := smptest.Start(t, smptest.Options{Pipes: true, Store: store})
				mute, bob := dialMute(t, r, client.Options{}), dial(t, r, client.Options{})
				full := fill(bob, queues, false)
				cmd := smp.Command(smp.SUB{})
				if how[0] == 'G' {
					cmd = smp.GET{}
				}
				switch how {
				case "pushed":
					empty := make([]*testQueue, queues)
					for i := range empty {
						empty[i] = bob.newPlainQueue(false)
					}
					mute.send(commands(empty, cmd)...)
					if _, err := mute.conn.Receive(); err != nil {
						t.Fatal(err)
					}
					for _, q := range empty {
						bob.want("OK", q.put(make([]byte, 16000)))
					}
				case "ACK": // of whatever was delivered, which is then sent again
					mute.send(commands(full, cmd)...)
					for n := 0; n < 1+queues; n++ {
						if _, err := mute.conn.Receive(); err != nil {
							t.Fatal(err)
						}
					}
					var block []*client.Request
					for _, ack := range commands(full, smp.ACK{}) {
						block = append(block, ack, ping())
					}
					mute.send(block...)
				case "SUB", "GET":
					mute.send(commands(full, cmd)...)
				default:
					go func() {
						for _, q := range full {
							if mute.conn.Send(q.own(cmd)) != nil {
								return
							}
						}
					}()
				}
				synctest.Wait()
				checkWaiting(t, r)
				if _, _, messages, ready := r.Server.Waiting(); messages+ready+store.alive(0) == 0 {
					t.Error("no message waits: this tests nothing")
				}
				if n := store.alive(maxHeld); n > maxHeld {
					t.Errorf("the relay holds %d messages for one client", n)
				}
				_ = mute.conn.Close()
			})
		})
	}
}

// TestHalfABlock: a client that stops within a block is disconnected, one that is slow is not, and one that is silent
// between blocks neither. Spec: smp.md 5.1
func TestHalfABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pipes(t)
		silent := dial(t, r, client.Options{})
		slow, stuck := r.Greet(t, alpn), r.Greet(t, alpn)
		for _, g := range []*smptest.Greeted{slow, stuck} {
			if err := g.Blocks.WriteHello(g.ClientHello(r, 10).AppendTo(nil)); err != nil {
				t.Fatal(err)
			}
		}
		block := make([]byte, wire.BlockSize)
		var p wire.Packer
		p.Add(append([]byte{0, 0, 0}, "PING"...))
		if err := wire.Pad(block, p.Payload()); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for _, c := range []net.Conn{slow.Session.Conn, stuck.Session.Conn} {
			if _, err := c.Write(block[:8000]); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(time.Minute)
		if _, err := slow.Session.Conn.Write(block[8000:]); err != nil {
			t.Fatal(err)
		}
		if got, err := smptest.FirstResponse(10, slow.Read(t, false)); got != "PONG" || err != nil {
			t.Errorf("slow: %q %v", got, err)
		}
		if _, err := stuck.TryRead(false); !errors.Is(err, io.EOF) {
			t.Errorf("stuck: %v", err)
		}
		if took := time.Since(start); took > 2*time.Minute+10*time.Second {
			t.Errorf("disconnected after %v", took)
		}
		<-time.After(time.Hour)
		silent.want("PONG", ping())
	})
}

// TestGoroutines: a connection has one goroutine, two while something waits to be written, and none when it is gone.
func TestGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients = 20
		r := pipes(t)
		bob := dial(t, r, client.Options{})
		full := fill(bob, 20, false)
		synctest.Wait()
		before := bubbleGoroutines()
		expect := func(each int, when string) {
			t.Helper()
			synctest.Wait()
			if n := bubbleGoroutines() - before; n != clients*each {
				t.Errorf("%s: %d goroutines for %d clients", when, n, clients)
			}
		}
		var peers []*peer
		for range clients {
			peers = append(peers, dialMute(t, r, client.Options{}))
		}
		expect(1, "idle")
		for _, p := range peers {
			p.send(ping())
			if _, err := p.conn.Receive(); err != nil {
				t.Fatal(err)
			}
		}
		expect(1, "after a command")
		for _, p := range peers {
			p.send(commands(full, smp.SUB{})...)
			p.send(ping())
		}
		expect(2, "with answers and messages to write")
		for i, p := range peers {
			if i%2 == 0 {
				_ = p.conn.Close()
			} else {
				_ = p.conn.Session().Abort()
			}
		}
		expect(0, "gone")
		if n := r.Server.Subscriptions(); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
}

// bubbleGoroutines counts the goroutines of the caller's bubble. Others, such as the runtime's own, come and go.
func bubbleGoroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	_, bubble, _ := bytes.Cut(stacks, []byte("synctest bubble ")) // the caller's stack comes first
	bubble, _, _ = bytes.Cut(bubble, []byte("]"))
	return bytes.Count(stacks, fmt.Appendf(nil, "synctest bubble %s]:", bubble))
}

// TestShutdown: what is at hand is answered before the connection is closed; who does not take it is cut off.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pipes(t)
		bob, idle := dial(t, r, client.Options{}), dial(t, r, client.Options{})
		reading := dialMute(t, r, client.Options{})
		reading.send(pings(200)...)
		synctest.Wait() // its answers wait to be read
		stopped := make(chan error)
		start := time.Now()
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
			defer cancel()
			stopped <- r.Server.Shutdown(ctx)
		}()
		synctest.Wait()
		if block, err := reading.conn.Receive(); err != nil || len(block) != 200 {
			t.Errorf("%d answers, %v", len(block), err)
		}
		if _, err := reading.conn.Receive(); !errors.Is(err, io.EOF) {
			t.Errorf("not closed: %v", err)
		}
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("stopping took %v", took)
		}
		for _, p := range []*peer{bob, idle} {
			if _, open := <-p.in; open {
				t.Error("something arrived")
			}
		}
		if r.Server.Connections() != 0 {
			t.Error("connections are left")
		}
	})
}

// TestShutdownCutsOff: a client that does not read cannot hold up the relay for longer than it is given.
func TestShutdownCutsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := pipes(t)
		mute := dialMute(t, r, client.Options{})
		taken := flood(mute, func() []*client.Request { return pings(255) })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		start := time.Now()
		if err := r.Server.Shutdown(ctx); err == nil {
			t.Error("stopped, although a client did not read")
		}
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("stopping took %v", took)
		}
		taken()
		if err := smptest.Eventually(func() bool { return r.Server.Connections() == 0 }); err != nil {
			t.Error("the connection is left")
		}
	})
}

// TestRefusedConnections: beyond the listener's limit connections are turned away; when others end there is room.
func TestRefusedConnections(t *testing.T) {
	r := smptest.Start(t, smptest.Options{Limits: transport.Limits{Connections: 2}})
	one, two := dial(t, r, client.Options{}), dial(t, r, client.Options{})
	if c, err := r.TryDial(client.Options{}); err == nil {
		_ = c.Close()
		t.Error("a third connection was accepted")
	}
	one.want("PONG", ping())
	_ = two.conn.Close()
	if err := smptest.Eventually(func() bool {
		c, err := r.TryDial(client.Options{})
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	}); err != nil {
		t.Error("no room after a connection ended")
	}
}
