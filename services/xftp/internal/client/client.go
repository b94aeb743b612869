// Package client is a client of file relays: one connection over TLS and HTTP/2, with a request at a time, as native
// apps make them or, for tests, as browsers do. A transfer of a whole file is made of several clients; so is the test of
// a relay from the outside.
//
// Spec: xftp.md 12.3
// Spec: xftp.md 12.4
package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"sotto/shared/auth"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Client is a connection for commands. Its methods may be called concurrently, and wait for each other. Those that
// return an error from the relay return it as an [xftp.Error]; other errors are those of [Conn.Do] and
// [*ResponseError], and close the connection. So does any error of an upload: see [Client.Err], and dial again.
type Client struct {
	conn    *Conn
	version wire.Version
	relay   Relay
}

// Format prints a placeholder, whatever the verb.
func (Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[client]") }

// Version returns the agreed version.
func (c *Client) Version() wire.Version { return c.version }

// Relay returns what the relay's hello contained.
func (c *Client) Relay() Relay { return c.relay }

// Conn returns the connection, for requests that no client makes.
func (c *Client) Conn() *Conn { return c.conn }

// Err returns why the connection is closed, nil while it can be used. See [Conn.Err].
func (c *Client) Err() error { return c.conn.Err() }

// Close closes the connection. It may be called more than once.
func (c *Client) Close() error { return c.conn.Close() }

// Head returns the block of a command, authorized by k unless that is no key.
//
// Spec: xftp.md 6
// Spec: xftp.md 7.2
func (c *Client) Head(k auth.Key, entity wire.EntityID, cmd xftp.Command) (*[xftp.BlockSize]byte, error) {
	authorized := xftp.AppendAuthorized(nil, c.relay.SessionID, nil, entity, cmd.AppendCommand(nil))
	authorization, err := k.Authorize(c.relay.Key, nil, authorized)
	if err != nil {
		return nil, err
	}
	head := new([xftp.BlockSize]byte)
	if err := xftp.PutBlock(head, authorization, authorized); err != nil {
		return nil, ErrTooLarge
	}
	return head, nil
}

// ParseHead returns the response in the head of an answer to a command for this entity. Errors of the relay are
// returned as [xftp.Error], everything else as [*ResponseError].
//
// Spec: xftp.md 6
// Spec: xftp.md 8.8
func (c *Client) ParseHead(head []byte, entity wire.EntityID) (xftp.Response, error) {
	t, err := xftp.ParseBlock(head, c.relay.SessionID)
	if err != nil {
		return nil, &ResponseError{Err: ErrMalformed}
	}
	response, err := xftp.ParseResponse(t.Command)
	if err != nil {
		return nil, &ResponseError{Err: ErrMalformed}
	}
	switch response := response.(type) {
	case xftp.ERR:
		if len(t.EntityID) == 0 || bytes.Equal(t.EntityID, entity) {
			return nil, response.Err
		}
	case xftp.SIDS, xftp.PONG:
		if len(t.EntityID) == 0 {
			return response, nil
		}
	default:
		if bytes.Equal(t.EntityID, entity) {
			return response, nil
		}
	}
	return nil, &ResponseError{}
}

// call makes a request that begins with a command and returns what its answer begins with. If err is nil the Response
// has to be closed.
func (c *Client) call(ctx context.Context, k auth.Key, entity wire.EntityID, cmd xftp.Command, r Request) (
	*Response, xftp.Response, error,
) {
	head, err := c.Head(k, entity, cmd)
	if err != nil {
		return nil, nil, err
	}
	body := io.Reader(bytes.NewReader(head[:]))
	if r.Body != nil {
		body = io.MultiReader(body, r.Body)
	}
	r.Body, r.Size = body, r.Size+xftp.BlockSize
	res, err := c.conn.Do(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	var answer xftp.Response
	if res.Status != http.StatusOK {
		err = &ResponseError{Err: ErrMalformed}
	} else {
		answer, err = c.ParseHead(res.Head, entity)
	}
	if err != nil {
		c.settle(res, err)
		return nil, nil, err
	}
	return res, answer, nil
}

// settle ends a request that has failed: the connection stays open only after an error of the relay that is complete.
func (c *Client) settle(res *Response, err error) {
	var refusal xftp.Error
	if !errors.As(err, &refusal) {
		c.conn.fail(err)
	}
	_ = res.Close()
}

// command makes a request that is only a command, whose answer is only a response.
func (c *Client) command(ctx context.Context, k auth.Key, entity wire.EntityID, cmd xftp.Command) (xftp.Response, error) {
	res, answer, err := c.call(ctx, k, entity, cmd, Request{})
	if err != nil {
		return nil, err
	}
	if err := res.end(); err != nil {
		c.settle(res, err)
		return nil, err
	}
	return answer, res.Close()
}

// end returns an error unless the response ends after its head: [*ResponseError] if something follows, [*ConnError] if it
// is not known.
func (r *Response) end() error {
	switch n, err := r.Read(make([]byte, 1)); {
	case n > 0:
		return &ResponseError{Err: ErrMalformed}
	case err != io.EOF:
		return err
	}
	return nil
}

// unexpected is the answer of the wrong kind.
func (c *Client) unexpected(answer xftp.Response) error {
	tag, _, _ := bytes.Cut(answer.AppendResponse(nil, c.version), []byte(" "))
	err := &ResponseError{Tag: string(tag)}
	c.conn.fail(err)
	return err
}
