package client

import (
	"bytes"
	"context"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Link is what a short link leads to.
//
// Spec: smp.md 9.12
type Link struct {
	SenderID  wire.EntityID
	FixedData []byte
	UserData  []byte
}

// SetLink stores link data with a queue under an id of the caller's choice, or replaces the user data that it has.
//
// Spec: smp.md 9.12
func (c *Client) SetLink(ctx context.Context, q *Queue, id wire.EntityID, fixed, user []byte) error {
	return c.expectOK(ctx, q.request(smp.LSET{LinkID: id, FixedData: fixed, UserData: user}))
}

// DeleteLink deletes the link data of a queue.
//
// Spec: smp.md 9.12
func (c *Client) DeleteLink(ctx context.Context, q *Queue) error {
	return c.expectOK(ctx, q.request(smp.LDEL{}))
}

// SecureByLink takes a one-time link: it makes k the sender's key of its queue.
//
// Spec: smp.md 9.12
func (c *Client) SecureByLink(ctx context.Context, linkID wire.EntityID, k auth.Key) (*Link, error) {
	return c.link(ctx, &Request{Command: smp.LKEY{SenderKey: k.Public()}, Entity: linkID, Key: k})
}

// Link reads the link of a contact address.
//
// Spec: smp.md 9.12
func (c *Client) Link(ctx context.Context, linkID wire.EntityID) (*Link, error) {
	return c.link(ctx, &Request{Command: smp.LGET{}, Entity: linkID})
}

func (c *Client) link(ctx context.Context, r *Request) (*Link, error) {
	reply, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	l, ok := reply.Response.(smp.LNK)
	if !ok {
		return nil, unexpected(reply.Response)
	}
	return &Link{SenderID: bytes.Clone(l.SenderID), FixedData: bytes.Clone(l.FixedData), UserData: bytes.Clone(l.UserData)}, nil
}
