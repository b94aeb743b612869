package server_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// patience is how long a test waits for what must come. In a bubble it takes no time.
const patience = 20 * time.Second

// peer is a client that sees transmissions in the order in which the relay sent them.
type peer struct {
	t    testing.TB
	conn *client.Conn
	in   chan wire.Transmission // closed when the connection ends
	kept []wire.Transmission    // arrived while an answer was awaited
}

// dial connects a peer that reads all the time.
func dial(t testing.TB, r *smptest.Relay, o client.Options) *peer {
	t.Helper()
	p := dialMute(t, r, o)
	go p.read()
	return p
}

// dialMute connects a peer that does not read.
func dialMute(t testing.TB, r *smptest.Relay, o client.Options) *peer {
	t.Helper()
	return &peer{t: t, conn: r.Dial(t, o), in: make(chan wire.Transmission, 1<<16)}
}

func (p *peer) read() {
	defer close(p.in)
	for {
		block, err := p.conn.Receive()
		if err != nil {
			return
		}
		for _, t := range block {
			p.in <- t
		}
	}
}

// send sends one block.
func (p *peer) send(requests ...*client.Request) {
	p.t.Helper()
	if err := p.conn.Send(requests...); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// next returns the next transmission. It may be called by any goroutine, and then fails without ending it.
func (p *peer) next() (wire.Transmission, error) {
	if len(p.kept) > 0 {
		t := p.kept[0]
		p.kept = p.kept[1:]
		return t, nil
	}
	return p.fresh()
}

// fresh is next without those that were kept.
func (p *peer) fresh() (wire.Transmission, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case t, ok := <-p.in:
		if !ok {
			return t, fmt.Errorf("the connection ended")
		}
		return t, nil
	case <-late.C:
		return wire.Transmission{}, fmt.Errorf("nothing arrived")
	}
}

// tryAsk sends a command, perhaps with more in the same block, and returns its answer; what arrives before is kept for
// next.
func (p *peer) tryAsk(r *client.Request, more ...*client.Request) (smp.Response, error) {
	if err := p.conn.Send(append([]*client.Request{r}, more...)...); err != nil {
		return nil, err
	}
	for {
		t, err := p.fresh()
		if err != nil {
			return nil, err
		}
		if bytes.Equal(t.CorrID, r.CorrID) {
			return smp.ParseResponse(p.conn.Version(), t.Command)
		}
		p.kept = append(p.kept, t)
	}
}

// ask is tryAsk that ends the test when there is no answer.
func (p *peer) ask(r *client.Request, more ...*client.Request) smp.Response {
	p.t.Helper()
	response, err := p.tryAsk(r, more...)
	if err != nil {
		p.t.Fatalf("ask: %v", err)
	}
	return response
}

// want asks and expects this answer, by its tag and error.
func (p *peer) want(text string, r *client.Request, more ...*client.Request) {
	p.t.Helper()
	if got := responseText(p.ask(r, more...)); got != text {
		p.t.Fatalf("answer %s, want %s", got, text)
	}
}

// responseText is a response without what is random in it.
func responseText(r smp.Response) string {
	if e, ok := r.(smp.ERR); ok {
		return "ERR " + e.Err.Error()
	}
	return r.Tag()
}

// testQueue is a queue as its owner and its sender know it.
type testQueue struct {
	recipient, sender, link wire.EntityID
	key                     auth.Key
	secret                  [box.KeySize]byte
}

// newQueue creates a queue.
func (p *peer) newQueue(mode smp.QueueMode, subscribe bool, k auth.Key) *testQueue {
	p.t.Helper()
	dh := auth.NewX25519()
	cmd := smp.NEW{AuthKey: k.Public(), DHKey: dh.Public(), Subscribe: subscribe}
	if mode != smp.ModeNone {
		cmd.Queue = &smp.QueueRequest{Mode: mode}
	}
	ids, ok := p.ask(&client.Request{Command: cmd, Key: k}).(smp.IDS)
	if !ok {
		p.t.Fatal("no queue was made")
	}
	q := &testQueue{recipient: bytes.Clone(ids.RecipientID), sender: bytes.Clone(ids.SenderID), key: k}
	var err error
	if q.secret, err = box.DH(ids.DHKey, dh.ECDH()); err != nil {
		p.t.Fatal(err)
	}
	return q
}

func (p *peer) newPlainQueue(subscribe bool) *testQueue {
	p.t.Helper()
	return p.newQueue(smp.ModeMessaging, subscribe, auth.NewEd25519())
}

// own is a recipient command for the queue.
func (q *testQueue) own(cmd smp.Command) *client.Request {
	return &client.Request{Command: cmd, Entity: q.recipient, Key: q.key}
}

// put is a SEND to the unsecured queue.
func (q *testQueue) put(body []byte) *client.Request {
	return &client.Request{Command: smp.SEND{Body: body}, Entity: q.sender}
}

// open decrypts a message of the queue.
func (q *testQueue) open(m smp.MSG) (smp.Received, error) {
	nonce := box.NonceFrom(m.MessageID)
	plain, err := box.OpenPadded(nil, m.EncryptedBody, &nonce, &q.secret)
	if err != nil {
		return smp.Received{}, err
	}
	return smp.ParseReceived(plain)
}

func ping() *client.Request { return &client.Request{Command: smp.PING{}} }
