package tls13

import (
	"crypto/cipher"
	"encoding/binary"
	"sync"
)

// The types of records.
//
// Source: RFC 8446 5.1
const (
	recordChangeCipherSpec = 20
	recordAlert            = 21
	recordHandshake        = 22
	recordData             = 23
)

const (
	recordHeader  = 5
	legacyVersion = 0x0303 // of records and hellos, whatever the version
)

// buffer has room for the longest record.
type buffer [recordHeader + maxCiphertext]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func takeBuffer() *buffer { return buffers.Get().(*buffer) }

func (b *buffer) release() { buffers.Put(b) }

// half is the protection of one direction. Its zero value protects nothing, as before the keys are known.
//
// Source: RFC 8446 5.2
type half struct {
	suite  *suite
	aead   cipher.AEAD
	secret [maxHash]byte
	iv     [ivSize]byte
	nonce  [ivSize]byte
	seq    uint64
}

// protect begins to protect with the keys of a traffic secret, which it copies.
//
// Source: RFC 8446 7.3
func (h *half) protect(s *suite, secret []byte) {
	key := s.expand(secret, "key", nil, s.keySize)
	defer clear(key)
	h.suite, h.aead, h.seq = s, must(s.newAEAD(key)), 0
	copy(h.secret[:], secret)
	copy(h.iv[:], s.expand(secret, "iv", nil, ivSize))
}

// update goes on to the next generation of keys.
//
// Source: RFC 8446 7.2
func (h *half) update() {
	size := h.suite.hash.Size()
	next := h.suite.expand(h.secret[:size], "traffic upd", nil, size)
	defer clear(next)
	h.protect(h.suite, next)
}

// wipe overwrites the secret: there will be no next generation.
func (h *half) wipe() { clear(h.secret[:]) }

// next returns the nonce of the next record. The numbers of records do not run out: keys are changed long before.
//
// Source: RFC 8446 5.3
func (h *half) next() []byte {
	copy(h.nonce[:], h.iv[:])
	tail := h.nonce[ivSize-8:]
	binary.BigEndian.PutUint64(tail, binary.BigEndian.Uint64(tail)^h.seq)
	h.seq++
	return h.nonce[:]
}

// append appends one record with content, which is no more than maxContent. Room that dst has is used.
func (h *half) append(dst []byte, kind byte, content []byte) []byte {
	start := len(dst)
	if h.aead == nil {
		return append(appendHeader(dst, kind, len(content)), content...)
	}
	dst = appendHeader(dst, recordData, len(content)+1+h.aead.Overhead())
	body := len(dst)
	dst = append(append(dst, content...), kind)
	return h.aead.Seal(dst[:body], h.next(), dst[body:], dst[start:body])
}

// appendAll appends content in as many records as it takes.
func (h *half) appendAll(dst []byte, kind byte, content []byte) []byte {
	for len(content) > maxContent {
		dst = h.append(dst, kind, content[:maxContent])
		content = content[maxContent:]
	}
	return h.append(dst, kind, content)
}

func appendHeader(dst []byte, kind byte, length int) []byte {
	return append(dst, kind, legacyVersion>>8, legacyVersion&0xff, byte(length>>8), byte(length))
}

// open returns the type and the content of a record given with its header, which it overwrites. Before there are keys
// that is what the header says.
func (h *half) open(record []byte) (kind byte, content []byte, err error) {
	header, body := record[:recordHeader], record[recordHeader:]
	if h.aead == nil {
		if len(body) > maxContent {
			return 0, nil, ErrRecordSize
		}
		return header[0], body, nil
	}
	inner, err := h.aead.Open(body[:0], h.next(), body, header)
	if err != nil {
		return 0, nil, ErrDecrypt
	}
	if len(inner) > maxContent+1 {
		return 0, nil, ErrRecordSize
	}
	return unpad(inner)
}

// unpad splits the type from the content, without the padding.
//
// Source: RFC 8446 5.4
func unpad(inner []byte) (kind byte, content []byte, err error) {
	for i := len(inner) - 1; i >= 0; i-- {
		if inner[i] != 0 {
			return inner[i], inner[:i], nil
		}
	}
	return 0, nil, ErrRecord
}
