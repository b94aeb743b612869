package smptest

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Greeted is a connection whose relay has sent its hello and awaits the client's. Tests answer it as they like.
type Greeted struct {
	Session *transport.Session
	Blocks  *transport.BlockConn
	Hello   smp.ServerHello
	// Private is a key to offer in the client hello.
	Private *ecdh.PrivateKey
}

// Greet connects as far as the relay's hello.
func (r *Relay) Greet(t testing.TB, alpn ...string) *Greeted {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	session, err := transport.ClientHandshake(ctx, r.Raw(t), transport.ClientConfig{Fingerprint: r.Identity.Fingerprint(), ALPN: alpn})
	if err != nil {
		t.Fatalf("TLS: %v", err)
	}
	g := &Greeted{Session: session, Blocks: transport.NewBlockConn(session.Conn)}
	t.Cleanup(func() { _ = session.Conn.Close() })
	payload := g.Read(t, true)
	if g.Hello, err = smp.ParseServerHello(payload); err != nil {
		t.Fatalf("server hello: %v", err)
	}
	if !bytes.Equal(g.Hello.SessionID, session.ID) {
		t.Fatal("the session id of the hello is not that of TLS")
	}
	g.Private, err = ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// Read returns the payload of the next block, of the handshake or not.
func (g *Greeted) Read(t testing.TB, hello bool) []byte {
	t.Helper()
	payload, err := g.TryRead(hello)
	if err != nil {
		t.Fatalf("no block: %s", transport.Safe(err))
	}
	return payload
}

// TryRead is Read for connections that may have ended.
func (g *Greeted) TryRead(hello bool) ([]byte, error) {
	var b transport.Block
	defer b.Release()
	read := g.Blocks.ReadBlock
	if hello {
		read = g.Blocks.ReadHello
	}
	payload, err := read(&b)
	return bytes.Clone(payload), err
}

// ClientHello is the hello of an app of version v.
func (g *Greeted) ClientHello(r *Relay, v wire.Version) smp.ClientHello {
	fingerprint := r.Identity.Fingerprint()
	public, err := key.FromECDH(g.Private.PublicKey())
	if err != nil {
		panic(err)
	}
	return smp.ClientHello{Version: v, KeyHash: fingerprint[:], Key: public}
}

// Encrypt turns on block encryption with the key that the client hello offered, and returns the chain for sending,
// for those who seal blocks by themselves.
func (g *Greeted) Encrypt(t testing.TB) box.Chain {
	t.Helper()
	leaf, err := key.Parse(g.Session.TLS().PeerCertificates[0].RawSubjectPublicKeyInfo)
	if err != nil {
		t.Fatal(err)
	}
	relayKey, err := auth.VerifySignedKey(leaf, g.Hello.SignedKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := box.DH(relayKey, g.Private)
	if err != nil {
		t.Fatal(err)
	}
	receive, send := box.NewChains(&secret, g.Session.ID)
	g.Blocks.Encrypt(send, receive)
	return send
}

// ErrNotAnswered is returned by Ask when the connection ended instead.
var ErrNotAnswered = errors.New("the connection ended")

// Ask sends one unauthorized command without correlation id and returns the response.
func (g *Greeted) Ask(v wire.Version, command string) (string, error) {
	signed := wire.AppendSigned(nil, nil, nil, []byte(command))
	var p wire.Packer
	p.Add(wire.AppendTransmission(nil, v, false, nil, nil, g.Session.ID, signed))
	if err := g.Blocks.WriteBlock(p.Payload()); err != nil {
		return "", ErrNotAnswered
	}
	payload, err := g.TryRead(false)
	if err != nil {
		return "", ErrNotAnswered
	}
	return FirstResponse(v, payload)
}

// FirstResponse returns the response in the first transmission of a payload.
func FirstResponse(v wire.Version, payload []byte) (string, error) {
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		return "", err
	}
	first, _ := batch.Next()
	t, err := wire.ParseTransmission(v, false, first)
	return string(t.Command), err
}
