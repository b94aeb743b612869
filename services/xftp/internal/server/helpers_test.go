package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	mathrand "math/rand/v2"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

const size = 64 << 10

// content returns random bytes with their SHA-256.
func content(n int) (body, digest []byte) {
	var seed [32]byte
	_, _ = rand.Read(seed[:])
	body = make([]byte, n)
	_, _ = mathrand.NewChaCha8(seed).Read(body)
	sum := sha256.Sum256(body)
	return body, sum[:]
}

// file is a chunk as its sender and one recipient know it.
type file struct {
	sender    auth.Key
	senderID  wire.EntityID
	recipient auth.Key
	id        wire.EntityID
	body      []byte
	digest    []byte
}

// register creates a chunk of n bytes with one recipient, without uploading it.
func register(t testing.TB, c *client.Client, n int) file {
	t.Helper()
	f := file{sender: auth.NewEd25519(), recipient: auth.NewEd25519()}
	f.body, f.digest = content(n)
	id, ids, err := c.Create(t.Context(), f.sender, uint32(n), f.digest, []key.Public{f.recipient.Public()})
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	f.senderID, f.id = id, ids[0]
	return f
}

// upload creates a chunk of n bytes and uploads it.
func upload(t testing.TB, c *client.Client, n int) file {
	t.Helper()
	f := register(t, c, n)
	if err := f.put(t.Context(), c); err != nil {
		t.Fatalf("upload: %v", err)
	}
	return f
}

func (f file) put(ctx context.Context, c *client.Client) error {
	return c.Upload(ctx, f.senderID, f.sender, bytes.NewReader(f.body), uint32(len(f.body)))
}

// get downloads the chunk and compares it.
func (f file) get(ctx context.Context, c *client.Client) error {
	var got bytes.Buffer
	if err := c.Download(ctx, f.id, f.recipient, uint32(len(f.body)), f.digest, &got); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), f.body) {
		return errors.New("another body")
	}
	return nil
}

// must fails the test for an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused fails the test unless err is this one of the relay's.
func refused(t testing.TB, err error, want xftp.Error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// create registers a chunk of n bytes through a peer.
func (p *peer) create(n int) file {
	p.t.Helper()
	f := file{sender: auth.NewEd25519(), recipient: auth.NewEd25519()}
	f.body, f.digest = content(n)
	response := p.do(f.sender, nil, xftp.FNEW{
		File:       xftp.FileInfo{SenderKey: f.sender.Public(), Size: uint32(n), Digest: f.digest},
		Recipients: []key.Public{f.recipient.Public()},
	}, nil)
	ids, ok := response.(xftp.SIDS)
	if !ok {
		p.t.Fatalf("create: %s", wireText(response))
	}
	f.senderID, f.id = ids.SenderID, ids.RecipientIDs[0]
	return f
}

// put uploads a body of the chunk f through a peer.
func (p *peer) put(f file, body []byte) xftp.Response {
	p.t.Helper()
	return p.do(f.sender, f.senderID, xftp.FPUT{}, body)
}

// ask asks for the chunk f through a peer.
func (p *peer) ask(f file) xftp.Response {
	p.t.Helper()
	return p.do(f.recipient, f.id, xftp.FGET{Key: auth.NewX25519().Public()}, nil)
}

// keysOf are the public keys of keys.
func keysOf(keys ...auth.Key) (public []key.Public) {
	for _, k := range keys {
		public = append(public, k.Public())
	}
	return public
}
