package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// offline is a client without a connection, whose relay is the test.
func offline(v wire.Version) *Client {
	session := &transport.Session{ID: []byte("an id of a session, of 32 bytes.")}
	return newClient(&Conn{session: session, version: v, options: Options{EventBuffer: wire.MaxBatch}})
}

// call puts a call for these requests on its way, without a block.
func (c *Client) call(id corrID, entities ...wire.EntityID) *Call {
	k := c.newCall(len(entities))
	for i, e := range entities {
		id[0] = byte(i)
		k.add(id, e)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.register(k, 0); err != nil {
		panic(err)
	}
	return k
}

// FuzzReceive gives the client any payload while it waits for two answers. Whatever comes, both calls end, and each
// reply has either a response or an error.
func FuzzReceive(f *testing.F) {
	id := corrID{1: 7}
	for _, v := range []wire.Version{6, 8, 11, 16, 18} {
		c := offline(v)
		for _, responses := range [][]smp.Response{
			{smp.OK{}, smp.SOK{}},
			{smp.ERR{Err: smp.ErrAuth}, smp.MSG{MessageID: make([]byte, 24), EncryptedBody: make([]byte, 50)}},
			{smp.IDS{RecipientID: padded(1), SenderID: padded(2), DHKey: auth.NewX25519().Public()}, smp.PONG{}, smp.END{}},
		} {
			var p wire.Packer
			for i, r := range responses {
				id[0] = byte(i)
				p.Commit(r.AppendResponse(wire.AppendResponseHeader(p.Begin(), v, c.conn.session.ID, id[:], padded(i)), v))
			}
			f.Add(uint8(v), p.Payload())
		}
	}
	f.Add(uint8(18), []byte{})
	f.Fuzz(func(t *testing.T, version uint8, payload []byte) {
		c := offline(wire.Version(6 + version%13))
		k := c.call(corrID{1: 7}, padded(0), padded(1))
		in := takeInbound()
		if err := c.receive(in, bytes.Clone(payload)); err != nil && err != ErrMalformed {
			t.Fatalf("got %v", err)
		}
		in.release()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, r := range k.WaitAll(ctx, nil) {
			if (r.Err == nil) == (r.Response == nil) {
				t.Fatal("neither response nor error, or both")
			}
			r.Release()
		}
		close(c.events)
		for e := range c.events {
			if (e.Err == nil) == (e.Response == nil) {
				t.Fatal("neither event nor error, or both")
			}
			e.Release()
		}
	})
}

// FuzzHello parses any server hello. One that is accepted has the session id, and a key if the version needs one.
func FuzzHello(f *testing.F) {
	id := testIdentity()
	leaf, err := key.New(key.Ed25519, id.LeafKey().Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	session := []byte("an id of a session, of 32 bytes.")
	hello := smp.ServerHello{
		Versions: wire.VersionRange{Min: 6, Max: 18}, SessionID: session,
		Chain: id.Chain, SignedKey: id.SignSessionKey(auth.NewX25519().Public()),
	}
	f.Add(hello.AppendTo(nil))
	f.Add(append(hello.AppendTo(nil), "more"...))
	hello.Versions.Max = 6
	f.Add(hello.AppendTo(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		relay, err := parseHello(payload, session, id.Fingerprint(), leaf)
		switch {
		case err != nil && err != ErrMalformed && err != ErrSession && err != ErrIdentity:
			t.Fatalf("got %v", err)
		case err == nil && relay.Versions.Max >= smp.VersionAuth && (relay.Key.Algorithm() != key.X25519 || len(relay.Chain) < 2):
			t.Fatal("accepted without a key")
		}
	})
}
