package wire

import "encoding/binary"

// Reader takes encoded fields off the front of its input. A field that cannot be read fails the Reader, and from then on
// every method returns a zero value, so a parser reads all its fields and looks at [Reader.Done] or [Reader.Err] once.
// What the methods return are views of the input. The zero Reader is at the end of an empty input.
//
// Spec: smp.md 1.1
type Reader struct {
	in     []byte
	pos    int
	failed bool
}

// NewReader returns a Reader at the start of b.
func NewReader(b []byte) Reader { return Reader{in: b} }

// Len returns the number of bytes left, 0 after a failure.
func (r *Reader) Len() int {
	if r.failed {
		return 0
	}
	return len(r.in) - r.pos
}

// Fail makes the Reader fail, for a field that is there but is not allowed.
func (r *Reader) Fail() { r.failed = true }

// Failed reports whether a field could not be read, or Fail was called.
func (r *Reader) Failed() bool { return r.failed }

// Err returns [ErrSyntax] if the Reader has failed. Bytes that are left over are no error, as in the handshake.
func (r *Reader) Err() error {
	if r.failed {
		return ErrSyntax
	}
	return nil
}

// Done returns [ErrSyntax] if the Reader has failed or if bytes are left over.
func (r *Reader) Done() error {
	if r.failed || r.pos != len(r.in) {
		return ErrSyntax
	}
	return nil
}

// Mark returns the position, for [Reader.Reset]. The mark of a Reader that has failed is the end of its input.
func (r *Reader) Mark() int {
	if r.failed {
		return len(r.in)
	}
	return r.pos
}

// Reset returns to a position obtained from [Reader.Mark] of the same Reader, and clears a failure that came after it.
// It serves fields that are optional without saying so, such as the key of the client's hello.
func (r *Reader) Reset(mark int) {
	if mark < 0 || mark > len(r.in) {
		r.failed = true
		return
	}
	r.pos, r.failed = mark, false
}

// Peek returns the next byte without reading it; ok is false at the end of the input and after a failure.
func (r *Reader) Peek() (b byte, ok bool) {
	if r.Len() == 0 {
		return 0, false
	}
	return r.in[r.pos], true
}

// Take reads exactly n bytes, without a length. It returns nil and fails if there are fewer, or n is negative.
func (r *Reader) Take(n int) []byte {
	if r.failed || n < 0 || n > len(r.in)-r.pos {
		r.failed = true
		return nil
	}
	start := r.pos
	r.pos += n
	return r.in[start:r.pos:r.pos]
}

// Tail reads all that is left, which may be nothing.
func (r *Reader) Tail() []byte { return r.Take(r.Len()) }

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if r.failed || r.pos == len(r.in) {
		r.failed = true
		return 0
	}
	b := r.in[r.pos]
	r.pos++
	return b
}

// Uint16 reads 2 bytes, big-endian.
func (r *Reader) Uint16() uint16 {
	if b := r.Take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// Uint32 reads 4 bytes, big-endian.
func (r *Reader) Uint32() uint32 {
	if b := r.Take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// Int64 reads 8 bytes, big-endian and two's complement. Times are whole seconds since 1970 in this form.
func (r *Reader) Int64() int64 {
	if b := r.Take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// Bool reads "T" or "F"; any other byte fails.
func (r *Reader) Bool() bool { return r.either('T', 'F') }

// Maybe reads the "1" or "0" that says whether an optional field follows; any other byte fails.
func (r *Reader) Maybe() bool { return r.either('1', '0') }

// either reads one of two bytes and reports whether it was the first.
func (r *Reader) either(yes, no byte) bool {
	switch b := r.Byte(); {
	case r.failed:
		return false
	case b == yes:
		return true
	case b != no:
		r.failed = true
	}
	return false
}

// Str reads a short string: a length byte, then 0 to 255 bytes.
func (r *Reader) Str() []byte { return r.Take(int(r.Byte())) }

// Large reads a long string: a 2-byte length, then 0 to 65535 bytes.
func (r *Reader) Large() []byte { return r.Take(int(r.Uint16())) }

// Count reads the count of a list, 0 to 255; its elements follow.
func (r *Reader) Count() int { return int(r.Byte()) }

// NonEmptyCount reads the count of a list that must not be empty; 0 fails.
func (r *Reader) NonEmptyCount() int {
	n := r.Count()
	if n == 0 {
		r.failed = true
	}
	return n
}
