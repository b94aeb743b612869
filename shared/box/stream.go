package box

import (
	"encoding/binary"
	"fmt"
	"io"

	//lint:ignore SA1019 A tag over a stream is what the protocol is made of, and the package that replaces it hides it.
	"golang.org/x/crypto/poly1305"
	//lint:ignore SA1019 So is a stream that begins in the middle of a block of the key stream.
	"golang.org/x/crypto/salsa20/salsa"
)

// TagSize is the length of the tag of a stream.
const TagSize = poly1305.TagSize

// streamBlock is the length of a block of Salsa20's key stream.
const streamBlock = 64

// stream is the box construction piece by piece, with the tag at the end. A piece may have any length; multiples of 64
// bytes, and those that add up to 32 bytes more, are the fastest.
//
// Spec: xftp.md 1.4
// Spec: xftp.md 16.4
type stream struct {
	key     [KeySize]byte
	counter [16]byte // nonce, then the number of the next block
	ahead   [streamBlock]byte
	left    int // bytes at the end of ahead that are not used
	mac     *poly1305.MAC
}

func newStream(k *[KeySize]byte, nonce *[NonceSize]byte) stream {
	var s stream
	derived := derive(k)
	salsa.HSalsa20(&s.key, (*[16]byte)(nonce[:16]), &derived, &salsa.Sigma)
	copy(s.counter[:8], nonce[16:])
	s.advance()
	macKey := [32]byte(s.ahead[:32])
	s.left = streamBlock - len(macKey)
	s.mac = poly1305.New(&macKey)
	return s
}

// advance makes the next block of key stream.
func (s *stream) advance() {
	s.ahead = [streamBlock]byte{}
	salsa.XORKeyStream(s.ahead[:], s.ahead[:], &s.counter, &s.key)
	s.count(1)
	s.left = streamBlock
}

// count moves on by n blocks.
func (s *stream) count(n int) {
	number := s.counter[8:]
	binary.LittleEndian.PutUint64(number, binary.LittleEndian.Uint64(number)+uint64(n))
}

// xor makes dst of src, which is of the same length, and the next part of the key stream. They are the same slice, or do
// not overlap.
func (s *stream) xor(dst, src []byte) {
	n := s.xorAhead(dst, src)
	dst, src = dst[n:], src[n:]
	if whole := len(src) &^ (streamBlock - 1); whole > 0 {
		salsa.XORKeyStream(dst[:whole], src[:whole], &s.counter, &s.key)
		s.count(whole / streamBlock)
		dst, src = dst[whole:], src[whole:]
	}
	if len(src) > 0 {
		s.advance()
		s.xorAhead(dst, src)
	}
}

// xorAhead uses up what is left of the block at hand.
func (s *stream) xorAhead(dst, src []byte) int {
	n := min(s.left, len(src))
	for i, k := range s.ahead[streamBlock-s.left:][:n] {
		dst[i] = src[i] ^ k
	}
	s.left -= n
	return n
}

// extend returns dst with room for n more bytes, and the room.
func extend(dst []byte, n int) (all, room []byte) {
	if total := len(dst) + n; total <= cap(dst) {
		all = dst[:total]
	} else {
		all = append(dst, make([]byte, n)...)
	}
	return all, all[len(dst):]
}

// Format writes "[stream]" for every verb.
func (stream) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[stream]") }

// Sealer encrypts a stream. It must not be copied once used, and prints as a placeholder.
//
// Spec: xftp.md 1.4
type Sealer struct{ stream }

// NewSealer returns a Sealer for a secret agreed by [DH], or a random key, and a nonce that is used once.
func NewSealer(k *[KeySize]byte, nonce *[NonceSize]byte) *Sealer { return &Sealer{newStream(k, nonce)} }

// Seal appends the encrypted form of the next piece, of the same length, to dst. plain may be the storage that is written
// (dst is plain[:0]), and must not overlap it otherwise.
func (s *Sealer) Seal(dst, plain []byte) []byte {
	all, room := extend(dst, len(plain))
	s.xor(room, plain)
	_, _ = s.mac.Write(room)
	return all
}

// Tag returns the tag of all that was sealed, which is its end.
func (s *Sealer) Tag() (tag [TagSize]byte) {
	s.mac.Sum(tag[:0])
	return tag
}

// Opener decrypts a stream. What it returns is not authentic before the tag was verified. It must not be copied once
// used, and prints as a placeholder.
//
// Spec: xftp.md 1.4
type Opener struct{ stream }

// NewOpener returns an Opener for the key and nonce of the [Sealer].
func NewOpener(k *[KeySize]byte, nonce *[NonceSize]byte) *Opener { return &Opener{newStream(k, nonce)} }

// Open appends the plain form of the next piece, of the same length, to dst. sealed may be the storage that is written (dst
// is sealed[:0]), and must not overlap it otherwise.
func (o *Opener) Open(dst, sealed []byte) []byte {
	_, _ = o.mac.Write(sealed)
	all, room := extend(dst, len(sealed))
	o.xor(room, sealed)
	return all
}

// Verify reports, in constant time, whether tag is that of all that was opened.
func (o *Opener) Verify(tag []byte) bool { return o.mac.Verify(tag) }
