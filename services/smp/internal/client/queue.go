package client

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"fmt"
	"io"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Queue is a queue as its recipient knows it. It belongs to no connection: another Client may subscribe to it.
type Queue struct {
	RecipientID wire.EntityID
	SenderID    wire.EntityID
	LinkID      wire.EntityID // nil without link data
	NotifierID  wire.EntityID // nil without notifier credentials
	Mode        smp.QueueMode // as the relay understood it
	// Key authorizes the recipient's commands.
	Key auth.Key
	// Secret encrypts messages from the relay, NotifierSecret the metadata of notifications.
	Secret         [box.KeySize]byte
	NotifierSecret [box.KeySize]byte
}

// Format prints a placeholder, whatever the verb.
func (Queue) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[queue]") }

// MarshalText returns a placeholder.
func (Queue) MarshalText() ([]byte, error) { return []byte("[queue]"), nil }

// QueueOptions say what queue to create. The zero value is one without mode, not subscribed.
type QueueOptions struct {
	Mode smp.QueueMode
	// Subscribe makes this connection the subscriber.
	Subscribe bool
	// Key is the recipient's; the zero value: a new Ed25519 key.
	Key auth.Key
	// Link is link data to store with the queue. CorrID is then the one that SenderID is made from.
	Link   *smp.LinkRequest
	CorrID wire.CorrID
	// NotifierKey asks for notifier credentials; the zero value: none. It needs version 17.
	NotifierKey key.Public
}

// NewQueue creates a queue, in the form of the agreed version, with the password of the options or address.
//
// Spec: smp.md 9.2
func (c *Client) NewQueue(ctx context.Context, o QueueOptions) (*Queue, error) {
	if o.Key.Public().IsZero() {
		o.Key = auth.NewEd25519()
	}
	private, public, err := newDH()
	if err != nil {
		return nil, err
	}
	cmd := smp.NEW{
		AuthKey: o.Key.Public(), DHKey: public, Subscribe: o.Subscribe,
		HasBasicAuth: c.conn.options.BasicAuth != nil, BasicAuth: c.conn.options.BasicAuth,
	}
	if o.Mode != smp.ModeNone {
		cmd.Queue = &smp.QueueRequest{Mode: o.Mode, Link: o.Link}
	}
	var notifier *ecdh.PrivateKey
	if !o.NotifierKey.IsZero() {
		cmd.Notifier = &smp.NotifierCredentials{NotifierKey: o.NotifierKey}
		if notifier, cmd.Notifier.DHKey, err = newDH(); err != nil {
			return nil, err
		}
	}
	reply, err := c.do(ctx, &Request{Command: cmd, Key: o.Key, CorrID: o.CorrID})
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	ids, ok := reply.Response.(smp.IDS)
	if !ok {
		return nil, unexpected(reply.Response)
	}
	if !fits(ids, cmd, c.Version()) {
		return nil, &ResponseError{Tag: ids.Tag()}
	}
	return newQueue(ids, o.Key, private, notifier)
}

// fits reports whether the relay created what it was asked for, as far as the version can tell.
//
// Spec: smp.md 9.2
func fits(ids smp.IDS, cmd smp.NEW, v wire.Version) bool {
	if (ids.Notifier != nil) != (cmd.Notifier != nil && v >= smp.VersionNotifierCreds) {
		return false
	}
	if cmd.Queue == nil {
		return true
	}
	if v >= smp.VersionSenderSecure && ids.Mode != cmd.Queue.Mode {
		return false
	}
	link := cmd.Queue.Link
	if v < smp.VersionShortLinks || link == nil {
		return ids.LinkID == nil
	}
	return ids.LinkID != nil && bytes.Equal(ids.SenderID, link.SenderID) &&
		(cmd.Queue.Mode != smp.ModeContact || bytes.Equal(ids.LinkID, link.LinkID))
}

// newDH returns a new X25519 key pair.
func newDH() (*ecdh.PrivateKey, key.Public, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, key.Public{}, err
	}
	public, err := key.FromECDH(private.PublicKey())
	return private, public, err
}

// newQueue makes a queue of the relay's answer, which is copied. The error is a [*ResponseError].
func newQueue(ids smp.IDS, k auth.Key, private, notifier *ecdh.PrivateKey) (*Queue, error) {
	q := &Queue{
		RecipientID: bytes.Clone(ids.RecipientID), SenderID: bytes.Clone(ids.SenderID), LinkID: bytes.Clone(ids.LinkID),
		Mode: ids.Mode, Key: k,
	}
	var err error
	if q.Secret, err = box.DH(ids.DHKey, private); err != nil {
		return nil, &ResponseError{Err: err}
	}
	if ids.Notifier == nil || notifier == nil {
		return q, nil
	}
	q.NotifierID = bytes.Clone(ids.Notifier.NotifierID)
	if q.NotifierSecret, err = box.DH(ids.Notifier.DHKey, notifier); err != nil {
		return nil, &ResponseError{Err: err}
	}
	return q, nil
}

// Secure sets the sender's key on behalf of the recipient.
//
// Spec: smp.md 9.3
func (c *Client) Secure(ctx context.Context, q *Queue, sender key.Public) error {
	return c.expectOK(ctx, q.request(smp.KEY{SenderKey: sender}))
}

// Subscribe makes this connection the queue's subscriber. Messages come as events.
//
// Spec: smp.md 9.4
func (c *Client) Subscribe(ctx context.Context, q *Queue) error {
	reply, _ := c.do(ctx, q.request(smp.SUB{}))
	return subscribed(&reply)
}

// SubscribeAll subscribes to any number of queues, in full blocks (135 queues with Ed25519 keys and version 16 or
// later). It returns an error for each queue, nil for success; err means that not all were asked for.
//
// Spec: smp.md 5.2
func (c *Client) SubscribeAll(ctx context.Context, queues []*Queue) (each []error, err error) {
	requests := make([]Request, len(queues))
	for i, q := range queues {
		requests[i] = *q.request(smp.SUB{})
	}
	replies, err := c.DoAll(ctx, requests)
	if err != nil {
		return nil, err
	}
	each = make([]error, len(replies))
	for i := range replies {
		each[i] = subscribed(&replies[i])
	}
	return each, nil
}

// subscribed judges the answer to SUB, and releases it.
//
// Spec: smp.md 9.4
func subscribed(r *Reply) error {
	if r.Err != nil {
		return r.Err
	}
	defer r.Release()
	switch r.Response.(type) {
	case smp.SOK, smp.OK:
		return nil
	}
	return unexpected(r.Response)
}

// Get asks for the first message without subscribing; nil if there is none.
//
// Spec: smp.md 9.6
func (c *Client) Get(ctx context.Context, q *Queue) (*Message, error) {
	return c.message(ctx, q, smp.GET{})
}

// Acknowledge tells the relay that a message was received. On a subscribing connection it returns the next one, nil if
// there is none.
//
// Spec: smp.md 9.5
func (c *Client) Acknowledge(ctx context.Context, q *Queue, id smp.MessageID) (*Message, error) {
	return c.message(ctx, q, smp.ACK{MessageID: id})
}

// message sends a command that is answered by OK or a message.
func (c *Client) message(ctx context.Context, q *Queue, cmd smp.Command) (*Message, error) {
	reply, err := c.do(ctx, q.request(cmd))
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	switch r := reply.Response.(type) {
	case smp.OK:
		return nil, nil
	case smp.MSG:
		return q.Open(r)
	}
	return nil, unexpected(reply.Response)
}

// Suspend makes the queue refuse messages for good.
//
// Spec: smp.md 9.7
func (c *Client) Suspend(ctx context.Context, q *Queue) error {
	return c.expectOK(ctx, q.request(smp.OFF{}))
}

// Delete deletes the queue with all its messages.
//
// Spec: smp.md 9.7
func (c *Client) Delete(ctx context.Context, q *Queue) error {
	return c.expectOK(ctx, q.request(smp.DEL{}))
}

// Info returns the queue's state as JSON, for debugging.
//
// Spec: smp.md 9.9
func (c *Client) Info(ctx context.Context, q *Queue) ([]byte, error) {
	reply, err := c.do(ctx, q.request(smp.QUE{}))
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	info, ok := reply.Response.(smp.INFO)
	if !ok {
		return nil, unexpected(reply.Response)
	}
	return bytes.Clone(info.JSON), nil
}

// request is a recipient's command.
func (q *Queue) request(cmd smp.Command) *Request {
	return &Request{Command: cmd, Entity: q.RecipientID, Key: q.Key}
}
