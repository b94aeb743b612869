package tls13

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/cryptobyte"
)

// The cipher suites.
//
// Source: RFC 8446 B.4
const (
	AES128GCM        uint16 = 0x1301 // TLS_AES_128_GCM_SHA256
	AES256GCM        uint16 = 0x1302 // TLS_AES_256_GCM_SHA384, whose session ids have 48 bytes
	ChaCha20Poly1305 uint16 = 0x1303 // TLS_CHACHA20_POLY1305_SHA256, that of apps and relays
)

const (
	maxHash = sha512.Size384
	ivSize  = 12
)

// suite is what a cipher suite means.
type suite struct {
	id      uint16
	hash    crypto.Hash
	newHash func() hash.Hash
	keySize int
	newAEAD func(key []byte) (cipher.AEAD, error)
}

var suites = [...]suite{
	{ChaCha20Poly1305, crypto.SHA256, sha256.New, chacha20poly1305.KeySize, chacha20poly1305.New},
	{AES128GCM, crypto.SHA256, sha256.New, 16, newGCM},
	{AES256GCM, crypto.SHA384, sha512.New384, 32, newGCM},
}

// suiteOf returns the suite with this id, nil if there is none.
func suiteOf(id uint16) *suite {
	for i := range suites {
		if suites[i].id == id {
			return &suites[i]
		}
	}
	return nil
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// expand is HKDF-Expand-Label. Its lengths are ours, never a peer's, so that it cannot fail.
//
// Source: RFC 8446 7.1
func (s *suite) expand(secret []byte, label string, context []byte, length int) []byte {
	var b cryptobyte.Builder
	b.AddUint16(uint16(length))
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte("tls13 " + label)) })
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(context) })
	return must(hkdf.Expand(s.newHash, secret, string(b.BytesOrPanic()), length))
}

// must returns what cannot fail: the lengths of keys and secrets are those of the suite.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// finished returns the verify_data of the Finished message of the one that has a handshake traffic secret.
//
// Source: RFC 8446 4.4.4
func (s *suite) finished(secret, transcript []byte) []byte {
	key := s.expand(secret, "finished", nil, s.hash.Size())
	defer clear(key)
	mac := hmac.New(s.newHash, key)
	mac.Write(transcript)
	return mac.Sum(nil)
}

// The labels of the traffic secrets.
//
// Source: RFC 8446 7.1
const (
	labelClientHandshake = "c hs traffic"
	labelServerHandshake = "s hs traffic"
	labelClientTraffic   = "c ap traffic"
	labelServerTraffic   = "s ap traffic"
)

// schedule goes through the secrets of a handshake without a pre-shared key: early secret, handshake secret, master secret.
//
// Source: RFC 8446 7.1
type schedule struct {
	suite  *suite
	secret []byte
}

// newSchedule begins with the early secret.
func newSchedule(s *suite) *schedule {
	zero := make([]byte, s.hash.Size())
	return &schedule{s, must(hkdf.Extract(s.newHash, zero, nil))}
}

// advance goes on to the next secret: with the result of the key agreement to the handshake secret, then with nil to
// the master secret.
func (k *schedule) advance(shared []byte) {
	if shared == nil {
		shared = make([]byte, k.suite.hash.Size())
	}
	salt := k.derive("derived", k.suite.newHash().Sum(nil))
	clear(k.secret)
	k.secret = must(hkdf.Extract(k.suite.newHash, shared, salt))
	clear(salt)
}

// derive is Derive-Secret with the hash of the messages.
func (k *schedule) derive(label string, transcript []byte) []byte {
	return k.suite.expand(k.secret, label, transcript, k.suite.hash.Size())
}

// wipe overwrites the secret.
func (k *schedule) wipe() { clear(k.secret) }

// transcript is the running hash of the messages of a handshake.
//
// Source: RFC 8446 4.4.1
type transcript struct {
	suite *suite
	hash  hash.Hash
}

func newTranscript(s *suite) *transcript { return &transcript{s, s.newHash()} }

// add takes a message with its header.
func (t *transcript) add(message []byte) { t.hash.Write(message) }

// sum returns the hash of the messages up to here.
func (t *transcript) sum() []byte { return t.hash.Sum(nil) }

// retry puts the hash of the first ClientHello, the only message so far, in its place, as a HelloRetryRequest demands.
func (t *transcript) retry() {
	first := t.sum()
	t.hash.Reset()
	t.hash.Write([]byte{messageHash, 0, 0, byte(len(first))})
	t.hash.Write(first)
}
