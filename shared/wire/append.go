package wire

import (
	"encoding/binary"
	"math"
)

// AppendUint16 appends 2 bytes, big-endian.
func AppendUint16(dst []byte, n uint16) []byte { return binary.BigEndian.AppendUint16(dst, n) }

// AppendUint32 appends 4 bytes, big-endian.
func AppendUint32(dst []byte, n uint32) []byte { return binary.BigEndian.AppendUint32(dst, n) }

// AppendInt64 appends 8 bytes, big-endian and two's complement.
func AppendInt64(dst []byte, n int64) []byte { return binary.BigEndian.AppendUint64(dst, uint64(n)) }

// AppendBool appends "T" or "F".
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 'T')
	}
	return append(dst, 'F')
}

// AppendMaybe appends the "1" or "0" that says whether an optional field follows. The caller appends the field.
func AppendMaybe(dst []byte, present bool) []byte {
	if present {
		return append(dst, '1')
	}
	return append(dst, '0')
}

// AppendStr appends a short string: a length byte, then b.
//
// It panics if b is longer than 255 bytes: encoders only pass what they built or parsed within that limit, and a length
// cut to its low byte would let the rest of b be read as other fields.
func AppendStr(dst, b []byte) []byte {
	if len(b) > math.MaxUint8 {
		panic("wire: short string longer than 255 bytes")
	}
	return append(append(dst, byte(len(b))), b...)
}

// AppendLarge appends a long string: a 2-byte length, then b. It panics if b is longer than 65535 bytes, as [AppendStr]
// does beyond its limit.
func AppendLarge(dst, b []byte) []byte {
	if len(b) > math.MaxUint16 {
		panic("wire: long string longer than 65535 bytes")
	}
	return append(AppendUint16(dst, uint16(len(b))), b...)
}

// AppendCount appends the count of a list; the caller appends the elements. It panics if n is not 0 to 255.
func AppendCount(dst []byte, n int) []byte {
	if n < 0 || n > math.MaxUint8 {
		panic("wire: list count out of range")
	}
	return append(dst, byte(n))
}
