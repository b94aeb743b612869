package box

import (
	"crypto/hkdf"
	"crypto/sha512"
	"fmt"
	"io"

	"sotto/shared/wire"
)

const (
	chainInitInfo = "SimpleXSbChainInit"
	chainStepInfo = "SimpleXSbChain"
	// paddedBlock is the length of an encrypted block's padded payload.
	paddedBlock = wire.BlockSize - Overhead
)

// Chain encrypts or decrypts the blocks of one direction of a connection. Each block uses a key of its own and replaces
// the chain's, so both ends must take every step: a Chain must be guarded by the lock that orders the blocks. A Chain is
// 32 bytes; it must not be copied once used, and prints as a placeholder.
//
// Spec: smp.md 5.4
type Chain struct{ key [KeySize]byte }

// NewChains returns the two chains of a connection, from the secret agreed in the handshake and the session id.
//
// Spec: smp.md 5.4
func NewChains(secret *[KeySize]byte, sessionID []byte) (relayToClient, clientToRelay Chain) {
	keys, err := hkdf.Key(sha512.New, secret[:], sessionID, chainInitInfo, 2*KeySize)
	if err != nil {
		panic("box: HKDF refused constant lengths: " + err.Error())
	}
	copy(relayToClient.key[:], keys[:KeySize])
	copy(clientToRelay.key[:], keys[KeySize:])
	return relayToClient, clientToRelay
}

// Seal fills block, which must be a whole block, with the encrypted payload, and advances. The error is [wire.ErrTooLong]
// for a payload that does not fit and for a block of another size; then nothing is written and the chain has not advanced,
// because there is no block to send. payload must not overlap block.
//
// Spec: smp.md 5.4
func (c *Chain) Seal(block, payload []byte) error {
	if len(block) != wire.BlockSize {
		return wire.ErrTooLong
	}
	s := takeScratch()
	defer s.release()
	padded := s.bytes(paddedBlock)
	if err := wire.Pad(padded, payload); err != nil {
		return err
	}
	k, nonce := c.step()
	Seal(block[:0], padded, &nonce, &k)
	return nil
}

// Open decrypts a block into the storage of dst, from its start, and returns the payload as a view of that storage. It
// does not allocate if dst has a capacity of at least [wire.BlockSize] - [Overhead]; dst must not overlap block. The error
// is [ErrOpen] or [wire.ErrSyntax]. The chain always advances, so the blocks after a failed one can be opened.
//
// Spec: smp.md 5.4
func (c *Chain) Open(dst, block []byte) (payload []byte, err error) {
	k, nonce := c.step()
	if len(block) != wire.BlockSize {
		return nil, ErrOpen
	}
	return OpenPadded(dst[:0], block, &nonce, &k)
}

// Wipe overwrites the key, when the connection has ended.
func (c *Chain) Wipe() { clear(c.key[:]) }

// Format writes "[chain]" for every verb.
func (Chain) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[chain]") }

// MarshalText returns "[chain]".
func (Chain) MarshalText() ([]byte, error) { return []byte("[chain]"), nil }

// step replaces the key of the chain and returns the key and nonce of one block.
func (c *Chain) step() (k [KeySize]byte, nonce [NonceSize]byte) {
	out := expandStep(&c.key)
	copy(c.key[:], out[:])
	copy(k[:], out[KeySize:])
	copy(nonce[:], out[2*KeySize:])
	return k, nonce
}

// expandStep is HKDF-SHA512 of a chain key with an empty salt, for one step's 88 bytes; the rest of the 128 is not used.
// It is written out because crypto/hkdf allocates about twenty times per block.
//
// Spec: smp.md 2.5
func expandStep(ikm *[KeySize]byte) (out [2 * sha512.Size]byte) {
	var message [sha512.Size + len(chainStepInfo) + 1]byte
	prk := hmacSHA512(nil, ikm[:])

	copy(message[sha512.Size:], chainStepInfo)
	message[len(message)-1] = 1
	first := hmacSHA512(prk[:], message[sha512.Size:])

	copy(message[:], first[:])
	message[len(message)-1] = 2
	second := hmacSHA512(prk[:], message[:])

	copy(out[:], first[:])
	copy(out[sha512.Size:], second[:])
	return out
}

// hmacSHA512 is HMAC for keys and messages of at most one SHA-512 block, which all of a step's are. It does not allocate.
func hmacSHA512(k, message []byte) [sha512.Size]byte {
	const innerPad, outerPad = 0x36, 0x5c
	var inner [2 * sha512.BlockSize]byte
	var outer [sha512.BlockSize + sha512.Size]byte
	copy(inner[:sha512.BlockSize], k)
	copy(outer[:sha512.BlockSize], k)
	for i := range sha512.BlockSize {
		inner[i] ^= innerPad
		outer[i] ^= outerPad
	}
	n := sha512.BlockSize + copy(inner[sha512.BlockSize:], message)
	digest := sha512.Sum512(inner[:n])
	copy(outer[sha512.BlockSize:], digest[:])
	return sha512.Sum512(outer[:])
}
