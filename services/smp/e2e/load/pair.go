package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/load"
	"sotto/shared/relay"
	"sotto/shared/smp"
)

const (
	// window is how many messages of a pair may be on their way. Without it a sender would fill the queue.
	window = 32
	// openEvery is how often a recipient decrypts a message, to check it. An app does it always, but here the
	// clients' work comes off what the machine has left for the relay.
	openEvery = 16
)

// pair is a sender and a recipient, each with a connection of its own.
type pair struct {
	sender, recipient *client.Client
	queue             *client.Queue
	key               auth.Key      // the sender's
	route             *client.Route // nil: the sender is connected to the queue's relay

	sentAt chan time.Time // of the messages on their way, in order
	acked  atomic.Int64
	accept load.Durations // SEND to OK
	arrive load.Durations // SEND to MSG
}

// errProfile: the connection is not what an app's would be.
var errProfile = errors.New("the connection is not as that of an app: TLS 1.3, ChaCha20-Poly1305, X25519, block encryption")

// connect connects a client to the relay as apps do.
func connect(ctx context.Context, r *relay.Relay) (*client.Client, error) {
	server, err := r.Server()
	if err != nil {
		return nil, err
	}
	return connectAt(ctx, server)
}

// connectAt connects by way of another port than the relay's own.
func connectAt(ctx context.Context, server smp.Server) (*client.Client, error) {
	c, err := client.Dial(ctx, server, client.Options{EventBuffer: 4})
	if err != nil {
		return nil, err
	}
	if err := checkProfile(c.Conn()); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func checkProfile(c *client.Conn) error {
	state := c.Session().TLS()
	if state.Version != tls.VersionTLS13 || state.CipherSuite != tls.TLS_CHACHA20_POLY1305_SHA256 ||
		state.CurveID != tls.X25519 || !c.Encrypted() || c.Version() != smp.MaxVersion {
		return errProfile
	}
	return nil
}

// newPair connects both and makes the queue, secured with an Ed25519 key.
func newPair(ctx context.Context, at smp.Server) (*pair, error) {
	p, err := connectPair(ctx, at, at)
	if err != nil {
		return p, err
	}
	return p, p.sender.SecureBySender(ctx, p.queue.SenderID, p.key)
}

// newRoutedPair is newPair with a sender that reaches the queue's relay through another.
func newRoutedPair(ctx context.Context, through, to smp.Server) (*pair, error) {
	p, err := connectPair(ctx, through, to)
	if err != nil {
		return p, err
	}
	if p.route, err = p.sender.Route(ctx, to); err != nil {
		return p, fmt.Errorf("PRXY: %w", err)
	}
	return p, p.route.SecureBySender(ctx, p.queue.SenderID, p.key)
}

// connectPair connects sender and recipient, each to a relay, and makes the queue. It returns what it has, also with an
// error.
func connectPair(ctx context.Context, sender, recipient smp.Server) (p *pair, err error) {
	p = &pair{key: auth.NewEd25519(), sentAt: make(chan time.Time, window)}
	if p.recipient, err = connectAt(ctx, recipient); err != nil {
		return p, err
	}
	if p.sender, err = connectAt(ctx, sender); err != nil {
		return p, err
	}
	p.queue, err = p.recipient.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging, Subscribe: true})
	return p, err
}

func (p *pair) close() {
	for _, c := range []*client.Client{p.sender, p.recipient} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// send sends one message after the other, each when the one before was accepted, until the context of stop ends.
func (p *pair) send(ctx, stop context.Context) error {
	for n := 0; ; n++ {
		began := time.Now()
		select {
		case p.sentAt <- began:
		case <-stop.Done():
			return nil
		}
		began = time.Now()
		if err := p.post(ctx, bodies[n%len(bodies)]); err != nil {
			return fmt.Errorf("SEND: %w", err)
		}
		p.accept = append(p.accept, time.Since(began))
	}
}

// post sends one message.
func (p *pair) post(ctx context.Context, body []byte) error {
	if p.route != nil {
		return p.route.Send(ctx, p.queue.SenderID, p.key, false, body)
	}
	return p.sender.Send(ctx, p.queue.SenderID, p.key, false, body)
}

// receive takes messages and acknowledges them until the connection is closed.
func (p *pair) receive(ctx context.Context) error {
	n := 0
	for e := range p.recipient.Events() {
		msg, ok := e.Response.(smp.MSG)
		if !ok {
			return errors.New("another event than MSG")
		}
		id, err := p.take(msg, n)
		e.Release()
		for ; id != nil && err == nil; id, err = p.acknowledge(ctx, id, n) {
			n++
		}
		if errors.Is(err, client.ErrClosed) {
			return nil // by us, in the middle of something
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// take notes message n and returns its id.
func (p *pair) take(msg smp.MSG, n int) (smp.MessageID, error) {
	p.arrive = append(p.arrive, time.Since(<-p.sentAt))
	if n%openEvery == 0 {
		m, err := p.queue.Open(msg)
		if err != nil {
			return nil, err
		}
		defer m.Release()
		if !bytes.Equal(m.Body, bodies[n%len(bodies)]) {
			return nil, errors.New("another message than was sent")
		}
	}
	return bytes.Clone(msg.MessageID), nil
}

// acknowledge removes message n-1 from the queue, and returns the id of message n if that is there already.
func (p *pair) acknowledge(ctx context.Context, id smp.MessageID, n int) (smp.MessageID, error) {
	reply, err := p.recipient.Do(ctx, client.Request{
		Command: smp.ACK{MessageID: id}, Entity: p.queue.RecipientID, Key: p.queue.Key,
	})
	if err != nil {
		return nil, fmt.Errorf("ACK: %w", err)
	}
	defer reply.Release()
	p.acked.Add(1)
	msg, more := reply.Response.(smp.MSG)
	if !more {
		return nil, nil
	}
	return p.take(msg, n)
}
