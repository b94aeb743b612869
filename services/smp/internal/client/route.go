package client

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"time"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Inner says where the commands go that a proxy forwards: to the connection between it and the relay.
//
// Spec: smp.md 11.3
type Inner struct {
	SessionID []byte     // of that connection
	Key       key.Public // the relay's session key
	Version   wire.Version
}

// Forwarded is a sealed command and what opens its answer.
type Forwarded struct {
	CorrID  wire.CorrID // of the command inside and of PFWD
	Command smp.PFWD
	version wire.Version
	entity  wire.EntityID
	secret  [box.KeySize]byte
}

// Seal signs and encrypts a command for the relay. Of r counts what is inside; its correlation id is made if it is nil.
//
// Spec: smp.md 11.3
func (n Inner) Seal(r Request) (*Forwarded, error) {
	if r.CorrID == nil {
		id := newCorrID()
		r.CorrID = id[:]
	}
	command := r.Encoded
	if command == nil {
		command = r.Command.AppendCommand(nil, n.Version)
	}
	signed := wire.AppendSigned(nil, r.CorrID, r.Entity, command)
	authorization := r.Authorization
	if authorization == nil {
		var err error
		authorization, err = r.Key.Authorize(n.Key, r.CorrID, wire.AppendAuthorized(nil, n.SessionID, signed))
		if err != nil {
			return nil, err
		}
	}
	var p wire.Packer
	if !p.Add(wire.AppendTransmission(nil, n.Version, true, authorization, r.ServiceSignature, nil, signed)) {
		return nil, ErrTooLarge
	}
	return n.SealPayload(r.CorrID, r.Entity, p.Payload())
}

// SealPayload encrypts a batch, whatever it contains.
func (n Inner) SealPayload(corrID wire.CorrID, entity wire.EntityID, payload []byte) (*Forwarded, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	f := &Forwarded{CorrID: corrID, version: n.Version, entity: entity}
	if f.secret, err = box.DH(n.Key, private); err != nil {
		return nil, err
	}
	f.Command.Version = n.Version
	if f.Command.Key, err = key.FromECDH(private.PublicKey()); err != nil {
		return nil, err
	}
	nonce := box.NonceFrom(corrID)
	f.Command.Encrypted, err = box.SealPadded(nil, payload, &nonce, &f.secret, smp.PaddedForwardSize)
	if err != nil {
		return nil, ErrTooLarge
	}
	return f, nil
}

// Open decrypts the answer and returns the transmission inside.
//
// Spec: smp.md 11.5
func (f *Forwarded) Open(encrypted []byte) (wire.Transmission, error) {
	nonce := box.Reverse(box.NonceFrom(f.CorrID))
	payload, err := box.OpenPadded(nil, encrypted, &nonce, &f.secret)
	if err != nil {
		return wire.Transmission{}, ErrMalformed
	}
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		return wire.Transmission{}, ErrMalformed
	}
	b, ok := batch.Next()
	if _, more := batch.Next(); !ok || more {
		return wire.Transmission{}, ErrMalformed
	}
	return wire.ParseTransmission(f.version, true, b)
}

// Route leads through a relay, the proxy, to another one, which does not learn whose commands they are.
//
// Spec: smp.md 11
type Route struct {
	client *Client
	inner  Inner
}

// Route asks the relay for a session with another. Its password is that for new queues.
//
// Spec: smp.md 11.1
func (c *Client) Route(ctx context.Context, relay smp.Server) (*Route, error) {
	password := c.conn.options.BasicAuth
	reply, err := c.do(ctx, &Request{Command: smp.PRXY{Server: relay, HasBasicAuth: password != nil, BasicAuth: password}})
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	session, ok := reply.Response.(smp.PKEY)
	if !ok {
		return nil, unexpected(reply.Response)
	}
	inner, err := checkSession(session, relay, c.conn.options)
	if err != nil {
		return nil, err
	}
	return &Route{client: c, inner: inner}, nil
}

// checkSession checks that the session is one with the relay asked for, and chooses the version.
//
// Spec: smp.md 11.1
func checkSession(session smp.PKEY, relay smp.Server, o Options) (Inner, error) {
	now := time.Now
	if o.Clock != nil {
		now = o.Clock
	}
	leaf, err := identity.VerifyChain(session.Chain, [32]byte(relay.Fingerprint), now())
	if err != nil {
		return Inner{}, ErrIdentity
	}
	k, err := auth.VerifySignedKey(leaf, session.SignedKey)
	if err != nil || k.Algorithm() != key.X25519 {
		return Inner{}, ErrIdentity
	}
	versions, ok := o.Versions.Intersect(session.Versions)
	if !ok {
		return Inner{}, ErrVersion
	}
	return Inner{SessionID: bytes.Clone(session.SessionID), Key: k, Version: versions.Max}, nil
}

// Inner returns where commands go.
func (r *Route) Inner() Inner { return r.inner }

// Do has the proxy forward a command, and returns what the relay answers.
//
// Spec: smp.md 11.3
func (r *Route) Do(ctx context.Context, request Request) (smp.Response, error) {
	f, err := r.inner.Seal(request)
	if err != nil {
		return nil, err
	}
	reply, err := r.client.do(ctx, &Request{Command: f.Command, Entity: r.inner.SessionID, CorrID: f.CorrID})
	if err != nil {
		return nil, err
	}
	defer reply.Release()
	answer, ok := reply.Response.(smp.PRES)
	if !ok {
		return nil, unexpected(reply.Response)
	}
	inside, err := f.Open(answer.Encrypted)
	if err != nil {
		return nil, err
	}
	response, err := smp.ParseResponse(r.inner.Version, inside.Command)
	switch refusal, refused := response.(smp.ERR); {
	case err != nil:
		return nil, &ResponseError{Err: err}
	case !bytes.Equal(inside.CorrID, f.CorrID), !bytes.Equal(inside.EntityID, request.Entity):
		return nil, &ResponseError{}
	case refused:
		return nil, refusal.Err
	}
	return response, nil
}

// Send puts a message into a queue of the relay that the route leads to.
//
// Spec: smp.md 9.10
func (r *Route) Send(ctx context.Context, senderID wire.EntityID, k auth.Key, notify bool, body []byte) error {
	return r.expectOK(ctx, Request{Command: smp.SEND{Notify: notify, Body: body}, Entity: senderID, Key: k})
}

// SecureBySender sets the sender's key in a queue of the relay that the route leads to.
//
// Spec: smp.md 9.3
func (r *Route) SecureBySender(ctx context.Context, senderID wire.EntityID, k auth.Key) error {
	return r.expectOK(ctx, Request{Command: smp.SKEY{SenderKey: k.Public()}, Entity: senderID, Key: k})
}

func (r *Route) expectOK(ctx context.Context, request Request) error {
	response, err := r.Do(ctx, request)
	if err != nil {
		return err
	}
	if _, ok := response.(smp.OK); !ok {
		return unexpected(response)
	}
	return nil
}
