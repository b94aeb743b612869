package file

import (
	"crypto/sha512"
	"fmt"
	"hash"
	"io"

	"sotto/shared/box"
	"sotto/shared/wire"
)

const (
	// headSize is how much of the plain form is looked at for the header, at most.
	headSize = lengthSize + 1024
	// pieceSize is how much is decrypted at a time: large enough that calls cost nothing, and little memory.
	pieceSize = 64 << 10
)

// Decrypter reads an encrypted file, in constant memory. It must not be copied, and prints as a placeholder.
//
// Spec: xftp.md 12.1
type Decrypter struct {
	r      io.Reader
	opener *box.Opener
	digest hash.Hash

	left    int64 // bytes of the plain form that were not read, without the tag
	started bool  // the header was looked for
	header  Header
	err     error  // why there is no header, or no file
	file    int64  // bytes of the file that were not written
	ahead   []byte // bytes behind the header that were decrypted with it
	written bool   // WriteTo was called
}

// NewDecrypter returns a Decrypter for the encrypted file that r has, which is total bytes long. The error is [ErrLength]
// if no encrypted file is that short.
func NewDecrypter(r io.Reader, total int64, key *[box.KeySize]byte, nonce *[box.NonceSize]byte) (*Decrypter, error) {
	if total < overhead+minHeader {
		return nil, ErrLength
	}
	return &Decrypter{r: r, opener: box.NewOpener(key, nonce), digest: sha512.New(), left: total - box.TagSize}, nil
}

// Header reads as far as the header and returns it. It is not authentic before [Decrypter.WriteTo] has returned no error.
// The error is [ErrLength], [ErrFormat], or one of reading.
func (d *Decrypter) Header() (Header, error) {
	d.start()
	return d.header, d.err
}

// start reads length and header, once.
func (d *Decrypter) start() {
	if d.started {
		return
	}
	d.started = true
	head, err := d.next(make([]byte, min(d.left, headSize)))
	if err != nil {
		d.err = err
		return
	}
	body, n, err := cutLength(head, d.left)
	if err != nil {
		d.err = err
		return
	}
	if d.header, d.ahead, d.err = readHeader(body); d.err == nil {
		d.file = n - int64(len(body)-len(d.ahead))
	}
}

// cutLength reads the length n of header and file, which head begins with, and returns as much of them as follows it
// there. left is how much there is behind head.
func cutLength(head []byte, left int64) (body []byte, n int64, err error) {
	r := wire.NewReader(head)
	n = r.Int64()
	if n < 0 || n > int64(r.Len())+left {
		return nil, 0, ErrFormat
	}
	return r.Take(int(min(n, int64(r.Len())))), n, nil
}

// next reads, in whole, and decrypts the next part of the plain form, in place.
func (d *Decrypter) next(p []byte) ([]byte, error) {
	n, err := io.ReadFull(d.r, p)
	_, _ = d.digest.Write(p[:n])
	if err != nil {
		return nil, short(err)
	}
	d.left -= int64(n)
	return d.opener.Open(p[:0], p), nil
}

// WriteTo writes the file itself to w and returns how many bytes that were. What w got is worthless unless the error is
// nil. It is [ErrTag], [ErrFormat] for what is authentic and yet malformed, [ErrLength] if there are fewer or more bytes
// than was said, and otherwise one of reading or writing. It can be called once.
func (d *Decrypter) WriteTo(w io.Writer) (int64, error) {
	if d.written {
		return 0, d.err
	}
	d.written = true
	d.start()
	if d.err != nil && d.err != ErrFormat {
		return 0, d.err
	}
	n, err := d.write(w)
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		d.err = err
	}
	return n, d.err
}

// write writes the file, if there is one, and decrypts what follows it up to the tag, so that malformed files are
// recognised as changed ones.
func (d *Decrypter) write(w io.Writer) (written int64, err error) {
	if written, err = d.writePart(w, d.ahead); err != nil {
		return written, err
	}
	d.ahead = nil
	piece := make([]byte, min(d.left, pieceSize))
	for d.left > 0 {
		plain, err := d.next(piece[:min(d.left, pieceSize)])
		if err != nil {
			return written, err
		}
		n, err := d.writePart(w, plain[:min(int64(len(plain)), d.file)])
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

func (d *Decrypter) writePart(w io.Writer, part []byte) (int64, error) {
	if len(part) == 0 {
		return 0, nil
	}
	n, err := w.Write(part)
	if err == nil && n < len(part) {
		err = io.ErrShortWrite
	}
	d.file -= int64(n)
	return int64(n), err
}

// finish verifies the tag and that nothing follows it.
func (d *Decrypter) finish() error {
	var tag [box.TagSize]byte
	n, err := io.ReadFull(d.r, tag[:])
	_, _ = d.digest.Write(tag[:n])
	if err != nil {
		return short(err)
	}
	if !d.opener.Verify(tag[:]) {
		return ErrTag
	}
	return end(d.r)
}

// Digest returns the SHA-512 of what was read, which after [Decrypter.WriteTo] is that of the encrypted file.
func (d *Decrypter) Digest() (digest [sha512.Size]byte) {
	d.digest.Sum(digest[:0])
	return digest
}

// Format writes "[file decrypter]" for every verb.
func (Decrypter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[file decrypter]") }

// MarshalText returns "[file decrypter]".
func (Decrypter) MarshalText() ([]byte, error) { return []byte("[file decrypter]"), nil }
