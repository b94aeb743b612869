package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"sotto/shared/smp"
	"sotto/shared/wire"
)

func TestConnectionLoss(t *testing.T) {
	const calls = 50
	f := (&fake{script: func(p *peer) {
		for seen := 0; seen < calls; {
			seen += len(p.receive())
		}
	}}).start(t)
	c := f.dial(t, Options{})
	ctx := testContext(t)
	var started []*Call
	for i := range calls {
		k, err := c.Start(ctx, que(i))
		if err != nil {
			t.Fatal(err)
		}
		started = append(started, k)
	}
	for _, k := range started {
		_, err := k.Wait(ctx)
		checkLost(t, err, io.EOF)
	}
	<-c.Done()
	checkLost(t, c.Err(), io.EOF)
	checkLost(t, c.Ping(ctx), io.EOF)
	_, err := c.DoBlock(ctx, []Request{que(1)})
	checkLost(t, err, io.EOF)
	if _, open := <-c.Events(); open {
		t.Error("an event after the end")
	}
}

func checkLost(t *testing.T, err, reason error) {
	t.Helper()
	var lost *ConnError
	var answered smp.Error
	if !errors.As(err, &lost) || !errors.Is(err, reason) || errors.As(err, &answered) {
		t.Errorf("got %v, want a ConnError for %v", err, reason)
	}
}

func TestLossInTheMiddleOfABlock(t *testing.T) {
	f := (&fake{script: func(p *peer) {
		p.receive()
		_, _ = p.session.Conn.Write(make([]byte, 1000))
	}}).start(t)
	c := f.dial(t, Options{})
	checkLost(t, c.Ping(testContext(t)), io.ErrUnexpectedEOF)
}

func TestClose(t *testing.T) {
	f := (&fake{script: func(p *peer) { // never answers
		for p.receive() != nil {
		}
	}}).start(t)
	c := f.dial(t, Options{})
	ctx := testContext(t)
	k, err := c.StartBlock(ctx, []Request{que(1), que(2)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _ = c.Close() })
	}
	for _, r := range k.WaitAll(ctx, nil) {
		checkLost(t, r.Err, ErrClosed)
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, open := <-c.Events(); open {
		t.Error("an event after the end")
	}
	checkLost(t, c.Ping(ctx), ErrClosed)
}

func TestMalformedFromRelay(t *testing.T) {
	payload := func(b string) func(*peer) {
		return func(p *peer) { _ = p.blocks.WriteBlock([]byte(b)) }
	}
	cases := []struct {
		name    string
		options Options
		send    func(*peer)
	}{
		{"not decrypting", Options{}, func(p *peer) { _, _ = p.session.Conn.Write(make([]byte, wire.BlockSize)) }},
		{"bad padding", Options{NoKey: true}, func(p *peer) {
			_, _ = p.session.Conn.Write(bytes.Repeat([]byte{0xff}, wire.BlockSize))
		}},
		{"empty payload", Options{}, payload("")},
		{"count 0", Options{}, payload("\x00")},
		{"count too high", Options{}, payload("\x02\x00\x06\x00\x00\x00OK!")},
		{"leftovers", Options{}, payload("\x01\x00\x05\x00\x00\x00OK!")},
		{"transmission cut", Options{}, payload("\x01\x00\x03\x00\x18\x00")},
		{"wrong session in version 6", only(6), func(p *peer) {
			p.session.ID = append([]byte{^p.session.ID[0]}, p.session.ID[1:]...)
			p.send(says{response: smp.OK{}})
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			f := (&fake{script: func(p *peer) {
				p.receive()
				tc.send(p)
				p.receive()
			}}).start(t)
			c := f.dial(t, tc.options)
			checkLost(t, c.Ping(testContext(t)), ErrMalformed)
		})
	}
	t.Logf("checked %d cases", len(cases))
}

func TestContextOfCall(t *testing.T) {
	first := make(chan wire.Transmission, 1)
	answer := make(chan struct{})
	f := (&fake{script: func(p *peer) {
		late := p.receive()[0]
		first <- late
		<-answer
		p.send(answerTo(late, smp.OK{}))
		p.send(answerTo(late, smp.MSG{MessageID: []byte("kept"), EncryptedBody: []byte("body")}))
		pong(p)
	}}).start(t)
	c := f.dial(t, Options{})
	ctx, cancel := context.WithCancel(testContext(t))
	k, err := c.Start(ctx, que(1))
	if err != nil {
		t.Fatal(err)
	}
	<-first
	cancel()
	if _, err := k.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	if _, err := c.Do(ctx, que(2)); !errors.Is(err, context.Canceled) {
		t.Errorf("Do: %v", err)
	}
	close(answer)
	if err := c.Ping(testContext(t)); err != nil {
		t.Errorf("the late answer broke the connection: %v", err)
	}
	e := <-c.Events() // the OK is gone, the message is not
	if msg, ok := e.Response.(smp.MSG); !ok || string(msg.MessageID) != "kept" || len(e.CorrID) != corrIDSize {
		t.Errorf("event %v", e.Response)
	}
	e.Release()
	select {
	case e := <-c.Events():
		t.Errorf("another event: %v", e.Response)
	default:
	}
}

func TestContextOfBatch(t *testing.T) {
	f := (&fake{script: func(p *peer) {
		all := p.receive()
		p.send(answerTo(all[1], smp.INFO{JSON: smp.Opaque(all[1].EntityID)}), says{response: smp.END{}})
		p.receive()
	}}).start(t)
	c := f.dial(t, Options{})
	ctx, cancel := context.WithCancel(testContext(t))
	k, err := c.StartBlock(ctx, []Request{que(0), que(1), que(2)})
	if err != nil {
		t.Fatal(err)
	}
	<-c.Events() // the answer before it has been counted
	cancel()
	replies := k.WaitAll(ctx, nil)
	checkInfo(t, &replies[1], 1)
	for _, i := range []int{0, 2} {
		if !errors.Is(replies[i].Err, context.Canceled) {
			t.Errorf("reply %d: %v", i, replies[i].Err)
		}
	}
}

// TestFullOutbox holds the writer back, so that callers have to wait.
func TestFullOutbox(t *testing.T) {
	f := (&fake{script: ok}).start(t)
	conn, err := DialConn(testContext(t), f.server(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(conn)
	defer c.Close()
	ctx := testContext(t)
	send := Request{Command: smp.SEND{Body: make([]byte, smp.MaxBody(18))}, Entity: entity(0)}
	var calls []*Call
	for range maxQueued {
		k, err := c.Start(ctx, send)
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, k)
	}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if _, err := c.Start(short, send); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("a full outbox took another block: %v", err)
	}
	waited := make(chan error)
	go func() {
		_, err := c.Do(ctx, send)
		waited <- err
	}()
	go c.read()
	go c.write()
	for _, k := range calls {
		if _, err := k.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-waited; err != nil {
		t.Errorf("the caller that waited: %v", err)
	}
}

func TestCallersWaitingForRoomAreReleased(t *testing.T) {
	f := (&fake{script: ok}).start(t)
	conn, err := DialConn(testContext(t), f.server(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(conn)
	for range maxQueued {
		c.queue = append(c.queue, takeOutbound())
	}
	waited := make(chan error)
	for range 3 {
		go func() { waited <- c.Ping(testContext(t)) }()
	}
	_ = c.Close()
	for range 3 {
		checkLost(t, <-waited, ErrClosed)
	}
}
