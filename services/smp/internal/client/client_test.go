package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// entity is an entity id made of a number.
func entity(n int) wire.EntityID { return binary.BigEndian.AppendUint32([]byte("entity"), uint32(n)) }

// que asks for the state of a queue that a script answers with its own id.
func que(n int) Request { return Request{Command: smp.QUE{}, Entity: entity(n)} }

// checkInfo checks that a reply is the one to que(n).
func checkInfo(t *testing.T, r *Reply, n int) {
	t.Helper()
	info, ok := r.Response.(smp.INFO)
	if !ok || !bytes.Equal(info.JSON, entity(n)) {
		t.Errorf("request %d got the wrong answer: %v, %v", n, r.Response, r.Err)
	}
	r.Release()
}

// shuffle answers commands out of order, in blocks of random sizes, each with an event.
func shuffle(p *peer) {
	arrived := make(chan []wire.Transmission)
	go func() {
		defer close(arrived)
		for all := p.receive(); all != nil; all = p.receive() {
			arrived <- all
		}
	}()
	var waiting []says
	take := func(all []wire.Transmission) {
		for _, t := range all {
			waiting = append(waiting, answerTo(t, smp.INFO{JSON: smp.Opaque(t.EntityID)}))
		}
	}
	for events := 0; ; {
		select {
		case all, open := <-arrived:
			if !open {
				return
			}
			take(all)
			continue
		default:
		}
		if len(waiting) == 0 {
			all, open := <-arrived
			if !open {
				return
			}
			take(all)
		}
		rand.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
		n := min(1+rand.IntN(len(waiting)), 100)
		p.send(append(waiting[:n:n], says{entity: entity(events), response: smp.END{}})...)
		waiting = waiting[n:]
		events++
	}
}

func TestCorrelation(t *testing.T) {
	const callers, window, rounds = 8, 16, 20
	const total = callers * window * rounds
	f := (&fake{script: shuffle}).start(t)
	c := f.dial(t, Options{EventBuffer: total})
	ctx := testContext(t)
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			calls := make([]*Call, window)
			for round := range rounds {
				first := (caller*rounds + round) * window
				for i := range calls {
					k, err := c.Start(ctx, que(first+i))
					if err != nil {
						t.Error(err)
						return
					}
					calls[i] = k
				}
				for i, k := range calls {
					r, _ := k.Wait(ctx)
					checkInfo(t, &r, first+i)
				}
			}
		})
	}
	wg.Wait()
	_ = c.Close()
	n := 0
	for e := range c.Events() {
		if _, ok := e.Response.(smp.END); !ok || !bytes.Equal(e.EntityID, entity(n)) {
			t.Fatalf("event %d: %v", n, e.Response)
		}
		n++
		e.Release()
	}
	t.Logf("checked %d answers and %d events", total, n)
}

func TestBlockIsOneAndInOrder(t *testing.T) {
	sizes := make(chan int, 10)
	f := (&fake{script: func(p *peer) {
		for all := p.receive(); all != nil; all = p.receive() {
			sizes <- len(all)
			var out []says
			for i, t := range all {
				if !bytes.Equal(t.EntityID, entity(i)) {
					p.t.Errorf("transmission %d of the block is another", i)
				}
				out = append(out, answerTo(t, smp.INFO{JSON: smp.Opaque(t.EntityID)}))
			}
			for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
				out[i], out[j] = out[j], out[i]
			}
			p.send(out[:3]...)
			p.send(out[3:]...)
		}
	}}).start(t)
	c := f.dial(t, Options{})
	requests := make([]Request, 10)
	for i := range requests {
		requests[i] = que(i)
	}
	replies, err := c.DoBlock(testContext(t), requests)
	if err != nil || len(replies) != len(requests) {
		t.Fatal(len(replies), err)
	}
	for i := range replies {
		checkInfo(t, &replies[i], i)
	}
	if n := <-sizes; n != 10 {
		t.Errorf("the block has %d transmissions", n)
	}
	if replies, err = c.DoBlock(testContext(t), nil); err != nil || len(replies) != 0 {
		t.Error("an empty block:", len(replies), err)
	}
}

func TestTooLarge(t *testing.T) {
	f := (&fake{script: ok}).start(t)
	c := f.dial(t, Options{})
	ctx := testContext(t)
	large := Request{Command: smp.SEND{Body: make([]byte, wire.BlockSize)}, Entity: entity(0)}
	small := Request{Command: smp.SEND{Body: make([]byte, 100)}, Entity: entity(0)}
	if _, err := c.Do(ctx, large); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Do: %v", err)
	}
	if _, err := c.DoBlock(ctx, []Request{small, large}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("DoBlock: %v", err)
	}
	if _, err := c.DoAll(ctx, []Request{small, large, small}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("DoAll: %v", err)
	}
	if _, err := c.DoBlock(ctx, make256(small)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("256 commands: %v", err)
	}
	if replies, err := c.DoAll(ctx, make256(small)); err != nil || replies[255].Err != nil {
		t.Errorf("256 commands in blocks: %v", err)
	}
	if len(c.pending) != 0 {
		t.Errorf("%d calls left pending", len(c.pending))
	}
}

func make256(r Request) []Request {
	all := make([]Request, 256)
	for i := range all {
		all[i] = r
	}
	return all
}

func TestSubscribeAll(t *testing.T) {
	const queues, unknown = 300, 217
	sizes := make(chan int, queues)
	f := (&fake{script: func(p *peer) {
		for all := p.receive(); all != nil; all = p.receive() {
			sizes <- len(all)
			var out []says
			for _, t := range all {
				if bytes.Equal(t.EntityID, padded(unknown)) {
					out = append(out, answerTo(t, smp.ERR{Err: smp.ErrAuth}))
				} else {
					out = append(out, answerTo(t, smp.SOK{}))
				}
			}
			p.send(out...)
		}
	}}).start(t)
	c := f.dial(t, Options{})
	k := auth.NewEd25519()
	all := make([]*Queue, queues)
	for i := range all {
		all[i] = &Queue{RecipientID: padded(i), Key: k}
	}
	each, err := c.SubscribeAll(testContext(t), all)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range each {
		if (i == unknown) != errors.Is(err, smp.ErrAuth) || (i != unknown) != (err == nil) {
			t.Errorf("queue %d: %v", i, err)
		}
	}
	if a, b, c := <-sizes, <-sizes, <-sizes; a != 135 || b != 135 || c != 30 {
		t.Errorf("blocks of %d, %d, %d", a, b, c)
	}
}

// padded is an id of 24 bytes.
func padded(n int) wire.EntityID { return append(make([]byte, 14), entity(n)...) }
