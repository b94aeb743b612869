package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// pieceSize is how much of a chunk is decrypted at once, in bytes.
const pieceSize = 64 << 10

// tagSize is the length of what follows an encrypted chunk. Spec: xftp.md 8.6
const tagSize = box.Overhead

// Download receives the body of a chunk of this size, in bytes, and SHA-256, decrypts it and writes it to w. An empty
// digest is not compared. What w was given is worthless unless the result is nil. Besides the errors of all commands
// there are [ErrSize], [ErrTag] and [ErrDigest], and those of w.
//
// Spec: xftp.md 8.6
// Spec: xftp.md 8.8
// Spec: xftp.md 12.4
func (c *Client) Download(
	ctx context.Context, recipientID wire.EntityID, recipient auth.Key, size uint32, digest []byte, w io.Writer,
) error {
	ephemeral := auth.NewX25519()
	res, answer, err := c.call(ctx, recipient, recipientID, xftp.FGET{Key: ephemeral.Public()}, Request{
		Patience: c.conn.options.StallTimeout, Limit: c.conn.options.TransferTimeout,
	})
	if err != nil {
		return err
	}
	file, ok := answer.(xftp.FILE)
	if !ok {
		err = c.unexpected(answer)
	} else {
		err = receive(res, file, ephemeral, size, digest, w)
	}
	if err != nil {
		c.conn.fail(err)
	}
	_ = res.Close()
	return err
}

// receive reads a body of exactly the chunk's size with its tag.
func receive(r io.Reader, file xftp.FILE, own auth.Key, size uint32, digest []byte, w io.Writer) error {
	secret, err := box.DH(file.Key, own.ECDH())
	if err != nil {
		return ErrTag
	}
	opener := box.NewOpener(&secret, &file.Nonce)
	clear(secret[:])
	hash := sha256.New()
	buf := make([]byte, pieceSize)
	for left := int64(size); left > 0; {
		piece := buf[:min(left, pieceSize)]
		if _, err := io.ReadFull(r, piece); err != nil {
			return short(err)
		}
		left -= int64(len(piece))
		piece = opener.Open(piece[:0], piece)
		hash.Write(piece)
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("write chunk: %w", err)
		}
	}
	tag := buf[:tagSize]
	if _, err := io.ReadFull(r, tag); err != nil {
		return short(err)
	}
	if n, err := r.Read(buf[tagSize : tagSize+1]); n > 0 {
		return ErrSize
	} else if err != io.EOF {
		return short(err)
	}
	if !opener.Verify(tag) {
		return ErrTag
	}
	if len(digest) > 0 && !bytes.Equal(hash.Sum(nil), digest) {
		return ErrDigest
	}
	return nil
}

// short returns [ErrSize] for a body that ended, and other errors as they are.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrSize
	}
	return err
}
