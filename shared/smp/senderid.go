package smp

import "crypto/sha3"

// SenderIDSize is the length of the sender id that a client derives.
const SenderIDSize = 24

// SenderIDFrom returns the only sender id that a client may choose for a queue created with this correlation id: the
// first 24 bytes of its SHA3-384. So NEW cannot be used to find out which ids exist.
//
// Spec: smp.md 9.2
func SenderIDFrom(corrID []byte) (id [SenderIDSize]byte) {
	hash := sha3.Sum384(corrID)
	copy(id[:], hash[:])
	return id
}
