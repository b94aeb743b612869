package file

import (
	"crypto/sha512"
	"fmt"
	"hash"
	"io"

	"sotto/shared/box"
	"sotto/shared/wire"
)

// padding fills the plain form up to its end.
const padding = '#'

// Encrypter reads a file and is read as the encrypted file, in constant memory. It must not be copied, and prints as a
// placeholder.
//
// Spec: xftp.md 12.1
type Encrypter struct {
	r      io.Reader
	sealer *box.Sealer
	digest hash.Hash
	err    error // what the next Read returns

	// The parts of the plain form in their order, as far as they are still to come.
	head   []byte // length and header
	length int64  // bytes of the file
	ended  bool   // the file was found to have no more
	fill   int64  // bytes of padding
	tag    []byte // the end of the encrypted form, once everything else was sealed
}

// NewEncrypter returns an Encrypter for the file that r has, which is length bytes long, and that becomes total bytes, the
// sum of [ChunkSizes]. The nonce is used for this file only. The errors are those of [Encoded], and [ErrLength] if total
// is less than what it returns.
func NewEncrypter(r io.Reader, length int64, h Header, total int64, key *[box.KeySize]byte, nonce *[box.NonceSize]byte) (*Encrypter, error) {
	if _, err := Encoded(h, length); err != nil {
		return nil, err
	}
	return newEncrypter(r, length, h.appendHeader(nil), total, key, nonce)
}

func newEncrypter(r io.Reader, length int64, header []byte, total int64, key *[box.KeySize]byte, nonce *[box.NonceSize]byte) (*Encrypter, error) {
	n := int64(len(header)) + length
	if total < n+overhead {
		return nil, ErrLength
	}
	return &Encrypter{
		r:      r,
		sealer: box.NewSealer(key, nonce),
		digest: sha512.New(),
		head:   append(wire.AppendInt64(nil, n), header...),
		length: length,
		fill:   total - n - overhead,
	}, nil
}

// Read reads the next part of the encrypted file, as much as p has room for, and [io.EOF] after its end. The error is
// [ErrLength] if the file is shorter or longer than was said, otherwise one of reading it; after an error there is no more
// to read, and what was read before is worthless.
func (e *Encrypter) Read(p []byte) (int, error) {
	if e.err != nil || len(p) == 0 {
		return 0, e.err
	}
	n, err := e.sealed(p)
	if err != nil {
		e.err = err
		return 0, err
	}
	if e.tag != nil {
		n += take(p[n:], &e.tag)
		if len(e.tag) == 0 {
			e.err = io.EOF
		}
	}
	_, _ = e.digest.Write(p[:n])
	return n, nil
}

// sealed fills p with the next part of the sealed form, and makes the tag once there is no more.
func (e *Encrypter) sealed(p []byte) (int, error) {
	if e.tag != nil {
		return 0, nil
	}
	n, err := e.plain(p)
	if err != nil {
		return 0, err
	}
	e.sealer.Seal(p[:0], p[:n])
	if n < len(p) {
		tag := e.sealer.Tag()
		e.tag = tag[:]
	}
	return n, nil
}

// plain fills p with the next part of the plain form, and less than p has room for only at its end.
func (e *Encrypter) plain(p []byte) (n int, err error) {
	n = take(p, &e.head)
	part := p[n:]
	if int64(len(part)) > e.length {
		part = part[:e.length]
	}
	m, err := io.ReadFull(e.r, part)
	if err != nil {
		return 0, short(err)
	}
	n, e.length = n+m, e.length-int64(m)
	if e.length == 0 && !e.ended {
		if err := end(e.r); err != nil {
			return 0, err
		}
		e.ended = true
	}
	part = p[n:]
	if int64(len(part)) > e.fill {
		part = part[:e.fill]
	}
	for i := range part {
		part[i] = padding
	}
	e.fill -= int64(len(part))
	return n + len(part), nil
}

// take moves the front of from to dst.
func take(dst []byte, from *[]byte) int {
	n := copy(dst, *from)
	*from = (*from)[n:]
	return n
}

// short returns the error for a stream whose next part could not be read in whole.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return ErrLength
	}
	return err
}

// end returns [ErrLength] unless r is at its end.
func end(r io.Reader) error {
	var one [1]byte
	switch _, err := io.ReadFull(r, one[:]); err {
	case io.EOF:
		return nil
	case nil:
		return ErrLength
	default:
		return err
	}
}

// Digest returns the SHA-512 of what was read, which after [io.EOF] is that of the encrypted file.
func (e *Encrypter) Digest() (digest [sha512.Size]byte) {
	e.digest.Sum(digest[:0])
	return digest
}

// Format writes "[file encrypter]" for every verb.
func (Encrypter) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[file encrypter]") }

// MarshalText returns "[file encrypter]".
func (Encrypter) MarshalText() ([]byte, error) { return []byte("[file encrypter]"), nil }
