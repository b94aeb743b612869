package e2e

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

const (
	// retryTime is the pause of a party that was refused, or finds nobody listening.
	retryTime = 20 * time.Millisecond
	// patience is longer than a relay may wait for its database before it answers.
	patience = 45 * time.Second
)

// party is one side of a conversation. It has a queue of its own and writes to that of the other, on one connection,
// as apps do, and connects again whenever that is lost.
type party struct {
	server  smp.Server
	options client.Options
	queue   *client.Queue // its own
	peer    wire.EntityID // the other's, as its sender knows it
	key     auth.Key      // for writing to it
	out, in *ledger
	refused atomic.Int64 // answers that say to try again later
	lost    int          // connections
}

// errFault ends a party: it was told something that no relay should tell it.
var errFault = errors.New("fault")

// run talks until all messages of both directions were exchanged, or ctx ends.
func (p *party) run(ctx context.Context) error {
	for !p.done() {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: not finished in time", p.out.name)
		}
		c, err := client.Dial(ctx, p.server, p.options)
		if err != nil {
			pause(ctx, retryTime)
			continue
		}
		err = p.session(ctx, c)
		_ = c.Close()
		if err == nil || errors.Is(err, errFault) {
			return err
		}
		p.lost++
	}
	return nil
}

func (p *party) done() bool {
	_, more := p.out.next()
	return !more && p.in.complete()
}

// session talks on one connection until everything is said or the connection is lost.
func (p *party) session(ctx context.Context, c *client.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.try(ctx, func(ctx context.Context) error { return c.Subscribe(ctx, p.queue) }); err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- p.send(ctx, c) }()
	err := p.receive(ctx, c, sent)
	if err != nil {
		_ = c.Close()
	}
	return err
}

// receive takes messages until it has all and the sender is done too.
func (p *party) receive(ctx context.Context, c *client.Client, sent <-chan error) error {
	for allSent := false; ; {
		if allSent && p.in.complete() {
			return nil
		}
		select {
		case err := <-sent:
			if err != nil {
				return err
			}
			allSent = true
		case e, ok := <-c.Events():
			if !ok {
				return c.Err()
			}
			if err := p.take(ctx, c, e); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take opens the message of an event and acknowledges it, and those that come in answer.
func (p *party) take(ctx context.Context, c *client.Client, e client.Event) error {
	msg, ok := e.Response.(smp.MSG)
	if !ok {
		tag := "nothing readable"
		if e.Response != nil {
			tag = e.Response.Tag()
		}
		return fmt.Errorf("%w: the relay sent %s", errFault, tag)
	}
	m, err := p.queue.Open(msg)
	for m != nil && err == nil {
		m, err = p.acknowledge(ctx, c, m)
	}
	return err
}

// acknowledge notes a message, and returns the next if there is one.
func (p *party) acknowledge(ctx context.Context, c *client.Client, m *client.Message) (*client.Message, error) {
	var next *client.Message
	id, n := string(m.ID), -1
	if !m.Quota {
		n = p.in.receive(id, m.Body)
	}
	err := p.once(ctx, func(ctx context.Context) (err error) {
		next, err = c.Acknowledge(ctx, p.queue, m.ID)
		return err
	})
	switch {
	case err == nil && !m.Quota:
		p.in.acknowledge(id, n)
	case errors.Is(err, smp.ErrInternal):
		p.refused.Add(1)
		return nil, nil // it is still there, and will be delivered again
	}
	return next, err
}

// send writes what is left to write.
func (p *party) send(ctx context.Context, c *client.Client) error {
	for {
		n, more := p.out.next()
		if !more {
			return nil
		}
		body := p.out.body(n)
		err := p.try(ctx, func(ctx context.Context) error {
			p.out.sending()
			return c.Send(ctx, p.peer, p.key, false, body)
		})
		if err != nil {
			return err
		}
		p.out.confirm()
	}
}

// try repeats a command while the relay says that it cannot do it now.
func (p *party) try(ctx context.Context, command func(context.Context) error) error {
	for {
		err := p.once(ctx, command)
		if !errors.Is(err, smp.ErrQuota) && !errors.Is(err, smp.ErrInternal) {
			return err
		}
		p.refused.Add(1)
		if !pause(ctx, retryTime) {
			return ctx.Err()
		}
	}
}

// once runs one command. The loss of the connection, and answers that say to try later, are left to the caller; any
// other refusal, and no answer at all, are faults.
func (p *party) once(ctx context.Context, command func(context.Context) error) error {
	one, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := command(one)
	var lost *client.ConnError
	switch {
	case err == nil, errors.As(err, &lost), errors.Is(err, smp.ErrQuota), errors.Is(err, smp.ErrInternal), ctx.Err() != nil:
		return err
	case one.Err() != nil:
		return fmt.Errorf("%w: no answer within %v", errFault, patience)
	}
	return fmt.Errorf("%w: %w", errFault, err)
}
