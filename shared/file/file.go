// Package file is the end-to-end encryption of a file for relays, and its division into chunks: a header with the name, the
// file, padding up to the sum of the chunks, and one tag at the end of all. Files pass through it as streams; it opens no
// file and no connection.
//
// Spec: xftp.md 12.1
package file

import (
	"errors"
	"fmt"
	"io"

	"sotto/shared/box"
	"sotto/shared/wire"
)

// MaxSize is the length in bytes of the longest file that clients send.
//
// Spec: xftp.md 12.1
const MaxSize = 5 << 30

const (
	// lengthSize is the length of the length of header and file, which the plain form begins with.
	lengthSize = 8
	// overhead is by how much the encrypted form of a file without padding is longer than header and file.
	overhead = lengthSize + box.TagSize
	// maxString is the longest name, and the longest extra text.
	maxString = 255
	// minHeader is an empty name and no extra text; maxHeader has the longest of both.
	minHeader = 2
	maxHeader = 1 + maxString + 1 + 1 + maxString
)

// Errors of this package. None of them quotes a name.
var (
	// ErrName reports a name, or an extra text, longer than 255 bytes.
	ErrName = errors.New("file: name or extra text longer than 255 bytes")
	// ErrTooLarge reports a file longer than [MaxSize].
	ErrTooLarge = errors.New("file: longer than the protocol allows")
	// ErrLength reports a stream of another length than was said, or that no encrypted file can have.
	ErrLength = errors.New("file: not of the length it should have")
	// ErrTag reports an encrypted file that was changed, or is not under this key and nonce.
	ErrTag = errors.New("file: not authentic")
	// ErrFormat reports an encrypted file whose length or header makes no sense.
	ErrFormat = errors.New("file: malformed")
)

// Header is what goes in front of a file and is encrypted with it. It prints as a placeholder.
//
// Spec: xftp.md 12.1
type Header struct {
	// Name is the last component of the file's path, 0 to 255 bytes of UTF-8. One that was received is any text, slashes
	// and dots included, and may be longer: each byte that is no UTF-8 has become U+FFFD.
	Name string
	// Extra is another text, 0 to 255 bytes, that no client gives a meaning. It is there if HasExtra is true.
	Extra    string
	HasExtra bool
}

// Format writes "[file header]" for every verb.
func (Header) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[file header]") }

// MarshalText returns "[file header]".
func (Header) MarshalText() ([]byte, error) { return []byte("[file header]"), nil }

// size is the length of the encoded header.
func (h Header) size() int {
	n := 1 + len(h.Name) + 1
	if h.HasExtra {
		n += 1 + len(h.Extra)
	}
	return n
}

// fits reports whether the header can be encoded.
func (h Header) fits() bool {
	return len(h.Name) <= maxString && (!h.HasExtra || len(h.Extra) <= maxString)
}

func (h Header) appendHeader(dst []byte) []byte {
	dst = wire.AppendMaybe(wire.AppendStr(dst, []byte(h.Name)), h.HasExtra)
	if h.HasExtra {
		dst = wire.AppendStr(dst, []byte(h.Extra))
	}
	return dst
}

// readHeader reads the header that b begins with, and returns the rest.
func readHeader(b []byte) (h Header, rest []byte, err error) {
	r := wire.NewReader(b)
	h.Name = text(r.Str())
	if h.HasExtra = r.Maybe(); h.HasExtra {
		h.Extra = text(r.Str())
	}
	if r.Failed() {
		return Header{}, nil, ErrFormat
	}
	return h, r.Tail(), nil
}

// text returns b with each byte that is no UTF-8 replaced, as upstream reads names.
//
// Spec: xftp.md 1
func text(b []byte) string { return string([]rune(string(b))) }

// Encoded returns what a file of length bytes needs in chunks: header, file, their length and the tag. The error is
// [ErrName], [ErrTooLarge], or [ErrLength] if length is negative.
//
// Spec: xftp.md 12.2
func Encoded(h Header, length int64) (int64, error) {
	switch {
	case !h.fits():
		return 0, ErrName
	case length < 0:
		return 0, ErrLength
	case length > MaxSize:
		return 0, ErrTooLarge
	}
	return int64(h.size()) + length + overhead, nil
}
