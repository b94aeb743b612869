package client

import (
	"bytes"
	"testing"
	"time"

	"sotto/shared/smp"
)

func TestEvents(t *testing.T) {
	const events = 60
	f := (&fake{script: func(p *peer) {
		for n := 0; ; n++ {
			all := p.receive()
			if all == nil {
				return
			}
			p.send(
				says{entity: entity(3 * n), response: smp.END{}},
				answerTo(all[0], smp.PONG{}),
				says{entity: entity(3*n + 1), response: smp.DELD{}},
			)
			p.send(says{entity: entity(3*n + 2), response: smp.MSG{MessageID: []byte{byte(n)}, EncryptedBody: bytes.Repeat([]byte{byte(n)}, 9000)}})
		}
	}}).start(t)
	c := f.dial(t, Options{EventBuffer: events})
	for range events / 3 {
		if err := c.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	for n := range events {
		e := <-c.Events()
		if !bytes.Equal(e.EntityID, entity(n)) || len(e.CorrID) != 0 || e.Err != nil {
			t.Fatalf("event %d: %v, %v", n, e.Response, e.Err)
		}
		switch r := e.Response.(type) {
		case smp.MSG:
			if n%3 != 2 || r.MessageID[0] != byte(n/3) || r.EncryptedBody[8999] != byte(n/3) {
				t.Errorf("event %d is another message", n)
			}
		case smp.END:
			if n%3 != 0 {
				t.Errorf("event %d is END", n)
			}
		}
		if n%2 == 0 { // the other half is left to the garbage collector
			e.Release()
			e.Release()
		}
	}
}

func TestUnreadableEvent(t *testing.T) {
	f := (&fake{script: func(p *peer) {
		p.send(says{entity: entity(1), text: "WHAT is this"}, says{response: smp.ERR{Err: smp.ErrBlock}})
		pong(p)
	}}).start(t)
	c := f.dial(t, Options{})
	if e := <-c.Events(); e.Err == nil || e.Response != nil {
		t.Errorf("got %v, %v", e.Response, e.Err)
	}
	if e := <-c.Events(); e.Response != (smp.ERR{Err: smp.ErrBlock}) {
		t.Errorf("got %v, %v", e.Response, e.Err)
	}
	if err := c.Ping(testContext(t)); err != nil {
		t.Error(err)
	}
}

// storm sends events, more than anybody takes.
func storm(n int) func(*peer) {
	return func(p *peer) {
		for i := range n {
			p.send(says{entity: entity(i), response: smp.END{}})
		}
		pong(p)
	}
}

func TestSlowConsumer(t *testing.T) {
	f := (&fake{script: storm(5)}).start(t)
	c := f.dial(t, Options{EventBuffer: 2, EventPatience: time.Millisecond})
	<-c.Done()
	checkLost(t, c.Err(), ErrSlowConsumer)
	checkLost(t, c.Ping(testContext(t)), ErrSlowConsumer)
	n := 0
	for e := range c.Events() { // those that had room are there
		if !bytes.Equal(e.EntityID, entity(n)) {
			t.Errorf("event %d is another", n)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d events were kept", n)
	}
}

func TestConsumerCatchesUp(t *testing.T) {
	const events = 500
	f := (&fake{script: storm(events)}).start(t)
	c := f.dial(t, Options{EventBuffer: 1})
	answered := make(chan error, 1)
	go func() { answered <- c.Ping(testContext(t)) }()
	for n := range events {
		if e := <-c.Events(); !bytes.Equal(e.EntityID, entity(n)) {
			t.Fatalf("event %d is another", n)
		}
	}
	if err := <-answered; err != nil {
		t.Errorf("the answer behind the events: %v", err)
	}
}

func TestCloseReleasesReader(t *testing.T) {
	f := (&fake{script: storm(5)}).start(t)
	c := f.dial(t, Options{EventBuffer: 1, EventPatience: time.Hour})
	first := <-c.Events()
	_ = c.Close()
	for range c.Events() { // ends, although the reader was waiting for room
	}
	if _, ok := first.Response.(smp.END); !ok {
		t.Error("no event")
	}
}
