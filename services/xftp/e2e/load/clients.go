package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// chunkSize is that of all chunks: the largest.
const chunkSize = 4 << 20

// mover moves one chunk after the other in one direction or the other.
type mover interface {
	upload(context.Context) error
	download(context.Context) error
	close()
}

// relayClient moves chunks to and from a relay. It uploads the same bytes each time, under new ids, and downloads what it
// uploaded last. The first download is decrypted and compared; later ones are only counted, as the reference's are, so
// that the relay is what is measured, and not what clients do with what they got.
type relayClient struct {
	c                 *client.Client
	body              []byte
	digest            [sha256.Size]byte
	sender, recipient auth.Key
	senderID          wire.EntityID
	recipientID       wire.EntityID
	compared          bool
}

func dialRelay(ctx context.Context, at address.Server, body []byte) (mover, error) {
	c, err := client.Dial(ctx, at, client.Options{})
	if err != nil {
		return nil, err
	}
	return &relayClient{
		c: c, body: body, digest: sha256.Sum256(body), sender: auth.NewEd25519(), recipient: auth.NewEd25519(),
	}, nil
}

// randomBody is a chunk that nothing can compress.
func randomBody() []byte {
	body := make([]byte, chunkSize)
	_, _ = rand.Read(body) // never fails
	return body
}

func (c *relayClient) close() { _ = c.c.Close() }

// upload registers a chunk and uploads it.
func (c *relayClient) upload(ctx context.Context) error {
	senderID, recipientIDs, err := c.c.Create(ctx, c.sender, chunkSize, c.digest[:], []key.Public{c.recipient.Public()})
	if err != nil {
		return err
	}
	c.senderID, c.recipientID = senderID, recipientIDs[0]
	return c.c.Upload(ctx, senderID, c.sender, bytes.NewReader(c.body), chunkSize)
}

// download downloads the last chunk.
func (c *relayClient) download(ctx context.Context) error {
	if !c.compared {
		c.compared = true
		var got bytes.Buffer
		if err := c.c.Download(ctx, c.recipientID, c.recipient, chunkSize, c.digest[:], &got); err != nil {
			return err
		}
		if !bytes.Equal(got.Bytes(), c.body) {
			return errors.New("the relay gave back other bytes")
		}
		return nil
	}
	head, err := c.c.Head(c.recipient, c.recipientID, xftp.FGET{Key: auth.NewX25519().Public()})
	if err != nil {
		return err
	}
	return exchange(ctx, c.c.Conn(), head[:], nil, chunkSize+box.TagSize, func(answer []byte) error {
		_, err := c.c.ParseHead(answer, c.recipientID)
		return err
	})
}

// exchange makes one request of a head and perhaps a body, and reads an answer with this many bytes after its head.
func exchange(
	ctx context.Context, conn *client.Conn, head, body []byte, want int64, check func(answer []byte) error,
) error {
	res, err := conn.Do(ctx, client.Request{
		Body: io.MultiReader(bytes.NewReader(head), bytes.NewReader(body)), Size: int64(len(head) + len(body)),
	})
	if err != nil {
		return err
	}
	defer res.Close()
	if check != nil {
		if err := check(res.Head); err != nil {
			return err
		}
	}
	n, err := io.Copy(io.Discard, res)
	if err == nil && n != want {
		err = fmt.Errorf("%d bytes came, not %d", n, want)
	}
	return err
}
