package server

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/xftp"
)

// upload stores the body of a chunk. One that is there already stays, and the repeated upload is as good as the first.
//
// Spec: xftp.md 8.5
func (x *exchange) upload(c *chunk.Chunk) (xftp.Response, error) {
	x.releaseHead() // a transfer holds one piece
	if c.Uploaded {
		return x.repeated(c)
	}
	if err := x.c.srv.places.take(x.ctx()); err != nil {
		return nil, err
	}
	defer x.c.srv.places.give()
	up, err := x.c.srv.store.Upload(x.ctx(), c)
	if errors.Is(err, chunk.ErrUploaded) {
		return x.repeated(c)
	}
	if err != nil {
		return nil, uploadError(err)
	}
	defer up.Abort()
	if err := x.receive(c, up); err != nil {
		return nil, err
	}
	// Whoever was faster has uploaded the same: the digest is that of this body.
	switch err := up.Commit(x.ctx()); {
	case err == nil:
		x.c.srv.count.ChunksUploaded.Add(1)
		x.c.srv.count.BytesUploaded.Add(uint64(c.Size))
	case errors.Is(err, chunk.ErrUploaded):
		x.c.srv.count.UploadsRepeated.Add(1)
	default:
		return nil, uploadError(err)
	}
	x.c.uploaded()
	return xftp.OK{}, nil
}

// uploaded makes room for one more registration.
func (c *conn) uploaded() {
	for n := c.unsent.Load(); n > 0 && !c.unsent.CompareAndSwap(n, n-1); n = c.unsent.Load() {
	}
}

// repeated takes no notice of what the body of an uploaded chunk is, only of its length.
//
// Spec: xftp.md 8.5
func (x *exchange) repeated(c *chunk.Chunk) (xftp.Response, error) {
	if err := x.copyBody(c, io.Discard); err != nil {
		return nil, err
	}
	x.c.srv.count.UploadsRepeated.Add(1)
	return xftp.OK{}, nil
}

// receive reads the body to its end into the store, and compares size and digest.
//
// Spec: xftp.md 8.5
func (x *exchange) receive(c *chunk.Chunk, w io.Writer) error {
	digest := sha256.New()
	if err := x.copyBody(c, io.MultiWriter(digest, w)); err != nil {
		return err
	}
	var more [1]byte
	if n, _ := x.body.Read(more[:]); n > 0 {
		return xftp.ErrSize
	}
	if x.body.err != io.EOF {
		return xftp.ErrTimeout
	}
	if !bytes.Equal(digest.Sum(nil), c.Digest) {
		return xftp.ErrDigest
	}
	return nil
}

// copyBody copies as many bytes as the chunk has. The error is what the upload ends with.
//
// Spec: xftp.md 8.5
func (x *exchange) copyBody(c *chunk.Chunk, w io.Writer) error {
	piece := piecePool.Get().(*[pieceSize]byte)
	defer piecePool.Put(piece)
	for left := int(c.Size); left > 0; {
		n, err := io.ReadFull(&x.body, piece[:min(left, pieceSize)])
		if n > 0 {
			if _, err := w.Write(piece[:n]); err != nil {
				return uploadError(err)
			}
		}
		left -= n
		switch {
		case err == nil:
		case x.body.err == io.EOF:
			return xftp.ErrSize
		default:
			return xftp.ErrTimeout // or there is nobody to tell
		}
	}
	return nil
}
