package wire

import (
	"encoding/binary"
	"math"
)

const (
	// BlockSize is the number of bytes of every block, in both directions.
	BlockSize = 16384
	// TagSize is the number of bytes by which an encrypted block's padded payload is smaller than the block.
	TagSize = 16
	// padLength is the number of bytes of the length in front of a padded message.
	padLength = 2
	padByte   = '#'
	// maxPadded is the length of the longest message that can be padded, whatever the padded size.
	maxPadded = math.MaxUint16 - padLength
)

// Pad fills dst completely: the length of msg in 2 bytes, msg, then "#". It returns [ErrTooLong], and leaves dst alone,
// if msg does not fit. msg may lie in dst at its final place, from dst[2], and must not overlap dst otherwise.
//
// Spec: smp.md 2.1
func Pad(dst, msg []byte) error {
	if len(msg)+padLength > len(dst) || len(msg) > maxPadded {
		return ErrTooLong
	}
	binary.BigEndian.PutUint16(dst, uint16(len(msg)))
	n := padLength + copy(dst[padLength:], msg)
	fillPadding(dst[n:])
	return nil
}

// fillPadding sets all of b to the pad byte, by doubling: most blocks are almost entirely padding.
func fillPadding(b []byte) {
	if len(b) == 0 {
		return
	}
	b[0] = padByte
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

// Unpad returns the message in p as a view of p, or [ErrSyntax] if p is shorter than the message claims to be. The
// padding itself may be anything.
//
// Spec: smp.md 2.1
func Unpad(p []byte) ([]byte, error) {
	r := NewReader(p)
	msg := r.Large()
	return msg, r.Err()
}
