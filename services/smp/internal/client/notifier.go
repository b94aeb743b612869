package client

import (
	"bytes"
	"context"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// SetNotifier gives the queue new credentials for notifications, in place of those it has, and keeps them in q.
//
// Spec: smp.md 9.8
func (c *Client) SetNotifier(ctx context.Context, q *Queue, notifier key.Public) error {
	private, public, err := newDH()
	if err != nil {
		return err
	}
	reply, err := c.do(ctx, q.request(smp.NKEY{NotifierKey: notifier, DHKey: public}))
	if err != nil {
		return err
	}
	defer reply.Release()
	nid, ok := reply.Response.(smp.NID)
	if !ok {
		return unexpected(reply.Response)
	}
	secret, err := box.DH(nid.DHKey, private)
	if err != nil {
		return &ResponseError{Err: err}
	}
	q.NotifierID, q.NotifierSecret = bytes.Clone(nid.NotifierID), secret
	return nil
}

// DeleteNotifier removes the queue's credentials for notifications.
//
// Spec: smp.md 9.8
func (c *Client) DeleteNotifier(ctx context.Context, q *Queue) error {
	err := c.expectOK(ctx, q.request(smp.NDEL{}))
	if err == nil {
		q.NotifierID = nil
	}
	return err
}

// SubscribeNotifier makes this connection the one that is told of messages. Notifications come as events.
//
// Spec: smp.md 9.13
func (c *Client) SubscribeNotifier(ctx context.Context, id wire.EntityID, k auth.Key) error {
	reply, _ := c.do(ctx, &Request{Command: smp.NSUB{}, Entity: id, Key: k})
	return subscribed(&reply)
}
