package transport

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
)

// What is found inside the client's handshake records.
const (
	contentHandshake = 22 // inner type of a handshake record
	messageHeader    = 4
	messageFinished  = 20
)

// recordSuite is what a TLS 1.3 cipher suite means for opening records.
type recordSuite struct {
	newHash func() hash.Hash
	keySize int
	newAEAD func(key []byte) (cipher.AEAD, error)
}

// suiteOf returns the suite with this id, false if it is not one of TLS 1.3.
func suiteOf(id uint16) (recordSuite, bool) {
	switch id {
	case tls.TLS_CHACHA20_POLY1305_SHA256:
		return recordSuite{sha256.New, chacha20poly1305.KeySize, chacha20poly1305.New}, true
	case tls.TLS_AES_128_GCM_SHA256:
		return recordSuite{sha256.New, 16, newGCM}, true
	case tls.TLS_AES_256_GCM_SHA384:
		return recordSuite{sha512.New384, 32, newGCM}, true
	default:
		return recordSuite{}, false
	}
}

// newGCM returns AES-GCM with key.
func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// openFinished decrypts the client's encrypted handshake records, headers included and in their order, and returns
// the body of its Finished message. A certificate and its signature may come before it, messages may be split over
// records and records padded. What follows the message is not looked at: it is under other keys. The records are
// overwritten.
//
// Spec: smp.md 3.4
func openFinished(records, secret []byte, suite uint16) ([]byte, error) {
	s, ok := suiteOf(suite)
	if !ok || len(secret) != s.newHash().Size() {
		return nil, errNoSessionID
	}
	opener, err := newRecordOpener(s, secret)
	if err != nil {
		return nil, err
	}
	defer clear(opener.iv[:])
	// Messages are gathered at the start of records, in room that the opened ones have left.
	gathered, taken := 0, 0
	for rest := records; ; {
		record, after, ok := nextRecord(rest)
		if !ok {
			return nil, errNoSessionID
		}
		content, ok := opener.open(record)
		if !ok {
			return nil, errNoSessionID
		}
		rest = after
		gathered += copy(records[gathered:], content)
		for {
			kind, body, ok := nextMessage(records[taken:gathered])
			if !ok {
				break
			}
			if kind == messageFinished {
				return finishedBody(body, s)
			}
			taken += messageHeader + len(body)
		}
	}
}

// finishedBody returns a copy of the Finished message if it has the length of the suite's hash.
func finishedBody(body []byte, s recordSuite) ([]byte, error) {
	if len(body) != s.newHash().Size() {
		return nil, errNoSessionID
	}
	return append([]byte(nil), body...), nil
}

// nextRecord splits the first whole record, with its header, from b.
func nextRecord(b []byte) (record, rest []byte, ok bool) {
	if len(b) < recordHeader {
		return nil, nil, false
	}
	n := recordHeader + int(binary.BigEndian.Uint16(b[3:]))
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// nextMessage returns the first whole handshake message of b.
func nextMessage(b []byte) (kind byte, body []byte, ok bool) {
	if len(b) < messageHeader {
		return 0, nil, false
	}
	n := int(b[1])<<16 | int(b[2])<<8 | int(b[3])
	if len(b)-messageHeader < n {
		return 0, nil, false
	}
	return b[0], b[messageHeader : messageHeader+n], true
}

// recordOpener opens the records of one direction in their order.
type recordOpener struct {
	aead     cipher.AEAD
	iv       [12]byte
	sequence uint64
}

// newRecordOpener derives the record keys from the traffic secret.
func newRecordOpener(s recordSuite, secret []byte) (*recordOpener, error) {
	key, err := expandLabel(s, secret, "key", s.keySize)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	o := new(recordOpener)
	iv, err := expandLabel(s, secret, "iv", len(o.iv))
	if err != nil {
		return nil, err
	}
	defer clear(iv)
	copy(o.iv[:], iv)
	o.aead, err = s.newAEAD(key)
	return o, err
}

// open decrypts a record in place and returns its handshake content.
func (o *recordOpener) open(record []byte) ([]byte, bool) {
	nonce := o.iv
	counter := nonce[len(nonce)-8:]
	binary.BigEndian.PutUint64(counter, binary.BigEndian.Uint64(counter)^o.sequence)
	o.sequence++
	body := record[recordHeader:]
	content, err := o.aead.Open(body[:0], nonce[:], body, record[:recordHeader])
	if err != nil {
		return nil, false
	}
	end := len(content)
	for end > 0 && content[end-1] == 0 {
		end--
	}
	if end == 0 || content[end-1] != contentHandshake {
		return nil, false
	}
	return content[:end-1], true
}

// expandLabel is HKDF-Expand-Label of TLS 1.3 with an empty context.
func expandLabel(s recordSuite, secret []byte, label string, n int) ([]byte, error) {
	label = "tls13 " + label
	info := make([]byte, 0, 4+len(label))
	info = binary.BigEndian.AppendUint16(info, uint16(n))
	info = append(info, byte(len(label)))
	info = append(info, label...)
	info = append(info, 0)
	out, err := hkdf.Expand(s.newHash, secret, string(info), n)
	if err != nil {
		return nil, fmt.Errorf("derive record key: %w", err)
	}
	return out, nil
}
