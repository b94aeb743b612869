package client

import (
	"context"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// SecureBySender sets the sender's key on behalf of the sender, in a queue of mode messaging.
//
// Spec: smp.md 9.3
func (c *Client) SecureBySender(ctx context.Context, senderID wire.EntityID, k auth.Key) error {
	return c.expectOK(ctx, &Request{Command: smp.SKEY{SenderKey: k.Public()}, Entity: senderID, Key: k})
}

// Send puts a message into a queue, at most [smp.MaxBody] bytes, and asks for a notification if notify is set. The
// zero key is for queues that are not secured.
//
// Spec: smp.md 9.10
func (c *Client) Send(ctx context.Context, senderID wire.EntityID, k auth.Key, notify bool, body []byte) error {
	return c.expectOK(ctx, &Request{Command: smp.SEND{Notify: notify, Body: body}, Entity: senderID, Key: k})
}

// Ping asks the relay for a sign of life.
//
// Spec: smp.md 9.11
func (c *Client) Ping(ctx context.Context) error {
	reply, err := c.do(ctx, &Request{Command: smp.PING{}})
	if err != nil {
		return err
	}
	defer reply.Release()
	if _, ok := reply.Response.(smp.PONG); !ok {
		return unexpected(reply.Response)
	}
	return nil
}

// expectOK sends a command whose success is OK.
func (c *Client) expectOK(ctx context.Context, r *Request) error {
	reply, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer reply.Release()
	if _, ok := reply.Response.(smp.OK); !ok {
		return unexpected(reply.Response)
	}
	return nil
}

// unexpected is the error of an answer that does not belong to its command.
func unexpected(r smp.Response) error { return &ResponseError{Tag: r.Tag()} }
