package client

import (
	"bytes"
	"context"
	"io"

	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Create registers a chunk of this size, in bytes, and SHA-256 for recipients with these keys, 1 to 255 of them, with
// the password of [Options]. It returns the sender id, and the recipient ids in the order of the keys.
//
// Spec: xftp.md 8.1
func (c *Client) Create(
	ctx context.Context, sender auth.Key, size uint32, digest []byte, recipients []key.Public,
) (senderID wire.EntityID, recipientIDs []wire.EntityID, err error) {
	password := c.conn.options.Password
	answer, err := c.command(ctx, sender, nil, xftp.FNEW{
		File:         xftp.FileInfo{SenderKey: sender.Public(), Size: size, Digest: digest},
		Recipients:   recipients,
		HasBasicAuth: password != nil, BasicAuth: password,
	})
	if err != nil {
		return nil, nil, err
	}
	ids, ok := answer.(xftp.SIDS)
	if !ok {
		return nil, nil, c.unexpected(answer)
	}
	if recipientIDs, err = c.checkIDs(ids.RecipientIDs, len(recipients)); err != nil {
		return nil, nil, err
	}
	return bytes.Clone(ids.SenderID), recipientIDs, nil
}

// AddRecipients adds recipients with these keys, 1 to 255 of them, and returns their ids in the same order.
//
// Spec: xftp.md 8.2
func (c *Client) AddRecipients(
	ctx context.Context, senderID wire.EntityID, sender auth.Key, recipients []key.Public,
) ([]wire.EntityID, error) {
	answer, err := c.command(ctx, sender, senderID, xftp.FADD{Recipients: recipients})
	if err != nil {
		return nil, err
	}
	ids, ok := answer.(xftp.RIDS)
	if !ok {
		return nil, c.unexpected(answer)
	}
	return c.checkIDs(ids.RecipientIDs, len(recipients))
}

// checkIDs returns a copy of ids if there is one for each key.
func (c *Client) checkIDs(ids []wire.EntityID, keys int) ([]wire.EntityID, error) {
	if len(ids) != keys {
		err := &ResponseError{Err: ErrMalformed}
		c.conn.fail(err)
		return nil, err
	}
	out := make([]wire.EntityID, len(ids))
	for i, id := range ids {
		out[i] = bytes.Clone(id)
	}
	return out, nil
}

// Upload sends the body of a chunk, size bytes from r. Whatever it fails with, the connection is closed then. If the
// relay has a body already, it takes this one for the same and answers well.
//
// Spec: xftp.md 8.5
// Spec: xftp.md 16.6
func (c *Client) Upload(ctx context.Context, senderID wire.EntityID, sender auth.Key, r io.Reader, size uint32) error {
	err := c.upload(ctx, senderID, sender, r, size)
	if err != nil {
		_ = c.conn.Close()
	}
	return err
}

func (c *Client) upload(ctx context.Context, senderID wire.EntityID, sender auth.Key, r io.Reader, size uint32) error {
	res, answer, err := c.call(ctx, sender, senderID, xftp.FPUT{}, Request{
		Body: r, Size: int64(size), Patience: c.conn.options.StallTimeout, Limit: c.conn.options.TransferTimeout,
	})
	if err != nil {
		return err
	}
	defer res.Close()
	if _, ok := answer.(xftp.OK); !ok {
		return c.unexpected(answer)
	}
	// An answer to less than the whole body is none.
	if !res.sent.done() {
		return &ResponseError{Err: ErrMalformed}
	}
	return res.end()
}

// Delete deletes the chunk with all its recipients.
//
// Spec: xftp.md 8.3
func (c *Client) Delete(ctx context.Context, senderID wire.EntityID, sender auth.Key) error {
	return c.expectOK(c.command(ctx, sender, senderID, xftp.FDEL{}))
}

// Acknowledge ends the recipient's access to the chunk.
//
// Spec: xftp.md 8.7
func (c *Client) Acknowledge(ctx context.Context, recipientID wire.EntityID, recipient auth.Key) error {
	return c.expectOK(c.command(ctx, recipient, recipientID, xftp.FACK{}))
}

// Ping asks for a sign of life.
//
// Spec: xftp.md 8.4
func (c *Client) Ping(ctx context.Context) error {
	answer, err := c.command(ctx, auth.Key{}, nil, xftp.PING{})
	if err != nil {
		return err
	}
	if _, ok := answer.(xftp.PONG); !ok {
		return c.unexpected(answer)
	}
	return nil
}

func (c *Client) expectOK(answer xftp.Response, err error) error {
	if err != nil {
		return err
	}
	if _, ok := answer.(xftp.OK); !ok {
		return c.unexpected(answer)
	}
	return nil
}
