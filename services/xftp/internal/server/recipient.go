package server

import (
	"errors"
	"io"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/box"
	"sotto/shared/xftp"
)

// download is a chunk on its way to a recipient, encrypted for this request alone.
//
// Spec: xftp.md 8.6
type download struct {
	places places // it has one of these
	r      io.ReadCloser
	sealer *box.Sealer
	left   int // bytes that are not read
	piece  *[pieceSize]byte
	n      int // bytes read into piece, not sent
}

// get answers FGET, and prepares the chunk that follows.
//
// Spec: xftp.md 8.6
func (x *exchange) get(c *chunk.Chunk, cmd xftp.FGET) (xftp.Response, error) {
	private, public, err := x.c.srv.newKey()
	if err != nil {
		return nil, err
	}
	secret, err := box.DH(cmd.Key, private)
	if err != nil {
		return nil, err
	}
	defer clear(secret[:])
	file := xftp.FILE{Key: public}
	x.c.srv.random(file.Nonce[:])
	if err := x.c.srv.places.take(x.ctx()); err != nil {
		return nil, err
	}
	r, err := x.c.srv.store.Download(x.ctx(), c)
	if err != nil {
		x.c.srv.places.give()
		return nil, err
	}
	d := &download{
		places: x.c.srv.places, r: r, sealer: box.NewSealer(&secret, &file.Nonce), left: int(c.Size),
		piece: piecePool.Get().(*[pieceSize]byte),
	}
	// The first piece is read before there is an answer that it contradicts.
	if err := d.next(); err != nil {
		d.close()
		return nil, err
	}
	x.download = d
	return file, nil
}

var errShortBody = errors.New("the stored body is too short")

// next reads the next piece.
func (d *download) next() error {
	n, err := io.ReadFull(d.r, d.piece[:min(d.left, pieceSize)])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errShortBody
	}
	d.n = n
	d.left -= n
	return err
}

// send sends the chunk and its tag. If the store fails half way the body ends there, which the client takes for what it
// is: too short. It reports whether all was sent.
//
// Spec: xftp.md 8.6
func (d *download) send(x *exchange) bool {
	for {
		n := d.n
		if x.write(d.sealer.Seal(d.piece[:0], d.piece[:n])) != nil {
			return false
		}
		x.c.srv.count.BytesDownloaded.Add(uint64(n))
		if d.left == 0 {
			break
		}
		if d.next() != nil {
			return false
		}
	}
	tag := d.sealer.Tag()
	return x.write(tag[:]) == nil
}

func (d *download) close() {
	_ = d.r.Close() // of what was only read
	piecePool.Put(d.piece)
	d.places.give()
}

// acknowledge ends the recipient's access to the chunk.
//
// Spec: xftp.md 8.7
func (x *exchange) acknowledge(t xftp.Transmission) (xftp.Response, error) {
	id, _ := chunk.ParseID(t.EntityID)
	if err := x.c.srv.store.RemoveRecipient(x.ctx(), id); err != nil {
		return nil, err
	}
	x.c.srv.count.Acknowledged.Add(1)
	return xftp.OK{}, nil
}
