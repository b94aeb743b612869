// Package key holds public keys as the protocols transmit them: DER SubjectPublicKeyInfo of four algorithms, recognised by
// their fixed prefixes. Commands and handshakes read their keys with it, and queues store its values.
//
// Spec: smp.md 1.2
package key

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"

	"sotto/shared/wire"
)

// Algorithm is what a public key is for. The zero value is no algorithm.
type Algorithm uint8

// The algorithms with a place in the protocols.
const (
	Ed25519 Algorithm = iota + 1 // signatures of 64 bytes
	Ed448                        // signatures of 114 bytes
	X25519                       // key agreement, and authenticators of 80 bytes
	X448                         // recognised, and permitted nowhere
)

// Lengths of raw keys in bytes.
const (
	Ed25519Size = 32
	Ed448Size   = 57
	X25519Size  = 32
	X448Size    = 56
)

const (
	maxRaw = Ed448Size
	maxDER = 12 + Ed448Size // the prefixes have 12 bytes
)

// Errors of the parsing functions.
var (
	// ErrSyntax reports bytes that are not exactly one key of a known algorithm.
	ErrSyntax = errors.New("key: not a public key")
	// ErrAlgorithm reports a key whose algorithm is not permitted in its place.
	ErrAlgorithm = errors.New("key: algorithm not permitted")
)

// encodings holds, by algorithm, the DER before the raw key and the length of the raw key in bytes.
var encodings = [...]struct {
	name   string
	prefix []byte
	size   int
}{
	Ed25519: {"Ed25519", []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"), Ed25519Size},
	Ed448:   {"Ed448", []byte("\x30\x43\x30\x05\x06\x03\x2b\x65\x71\x03\x3a\x00"), Ed448Size},
	X25519:  {"X25519", []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x6e\x03\x21\x00"), X25519Size},
	X448:    {"X448", []byte("\x30\x42\x30\x05\x06\x03\x2b\x65\x6f\x03\x39\x00"), X448Size},
}

// String returns the usual name of the algorithm, or "none".
func (a Algorithm) String() string {
	if !a.valid() {
		return "none"
	}
	return encodings[a].name
}

func (a Algorithm) valid() bool { return a >= Ed25519 && a <= X448 }

// Public is a public key. It is a value: == is equality of algorithm and key, and the zero value is no key. It prints as
// a placeholder. Whether the raw bytes are a point of the curve is found out when the key is used.
type Public struct {
	algorithm Algorithm
	raw       [maxRaw]byte // the rest, beyond the algorithm's length, is zero
}

// New returns the key with the given raw bytes: 32 for Ed25519 and X25519, 57 for Ed448, 56 for X448. It returns
// [ErrSyntax] for another length and for an unknown algorithm.
func New(a Algorithm, raw []byte) (Public, error) {
	if !a.valid() || len(raw) != encodings[a].size {
		return Public{}, ErrSyntax
	}
	p := Public{algorithm: a}
	copy(p.raw[:], raw)
	return p, nil
}

// Parse returns the key that der is the exact encoding of, with nothing after it, or [ErrSyntax].
//
// Spec: smp.md 1.2
func Parse(der []byte) (Public, error) {
	for a := Ed25519; a <= X448; a++ {
		if raw, ok := bytes.CutPrefix(der, encodings[a].prefix); ok {
			return New(a, raw)
		}
	}
	return Public{}, ErrSyntax
}

// ParseAuth parses a key that authorizes commands: Ed25519, Ed448 or X25519. The error is [ErrSyntax] or [ErrAlgorithm].
//
// Spec: smp.md 1.2
func ParseAuth(der []byte) (Public, error) {
	p, err := Parse(der)
	if err == nil && p.algorithm == X448 {
		return Public{}, ErrAlgorithm
	}
	return p, err
}

// ParseDH parses a key for key agreement, X25519. The error is [ErrSyntax] or [ErrAlgorithm].
//
// Spec: smp.md 1.2
func ParseDH(der []byte) (Public, error) {
	p, err := Parse(der)
	if err == nil && p.algorithm != X25519 {
		return Public{}, ErrAlgorithm
	}
	return p, err
}

// FromECDH returns the public key of a key agreement, which must be X25519.
func FromECDH(pub *ecdh.PublicKey) (Public, error) {
	if pub.Curve() != ecdh.X25519() {
		return Public{}, ErrAlgorithm
	}
	return New(X25519, pub.Bytes())
}

// Algorithm returns the algorithm of the key, 0 if there is no key.
func (p Public) Algorithm() Algorithm { return p.algorithm }

// IsZero reports whether there is no key.
func (p Public) IsZero() bool { return p.algorithm == 0 }

// Raw returns a copy of the key without its encoding, or nil if there is no key.
func (p Public) Raw() []byte {
	if !p.algorithm.valid() {
		return nil
	}
	return p.raw[:encodings[p.algorithm].size]
}

// AppendDER appends the SubjectPublicKeyInfo: 44 bytes for Ed25519 and X25519, 69 for Ed448, 68 for X448. For no key it
// appends nothing.
func (p Public) AppendDER(dst []byte) []byte {
	if !p.algorithm.valid() {
		return dst
	}
	e := encodings[p.algorithm]
	return append(append(dst, e.prefix...), p.raw[:e.size]...)
}

// AppendWire appends the SubjectPublicKeyInfo as a short string. For no key that is the empty string.
func (p Public) AppendWire(dst []byte) []byte {
	var der [maxDER]byte
	return wire.AppendStr(dst, p.AppendDER(der[:0]))
}

// ECDH returns the key for use in a key agreement. It returns [ErrAlgorithm] unless it is X25519.
func (p Public) ECDH() (*ecdh.PublicKey, error) {
	if p.algorithm != X25519 {
		return nil, ErrAlgorithm
	}
	return ecdh.X25519().NewPublicKey(p.raw[:encodings[X25519].size])
}

// Format writes "[key]" for every verb: public keys link queues to those who use them.
func (Public) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[key]") }

// MarshalText returns "[key]".
func (Public) MarshalText() ([]byte, error) { return []byte("[key]"), nil }

// Read reads a key of any algorithm, as a short string, and fails the reader if there is none.
//
// Spec: smp.md 1.2
func Read(r *wire.Reader) Public { return read(r, Parse) }

// ReadAuth reads a key that [ParseAuth] accepts.
//
// Spec: smp.md 1.2
func ReadAuth(r *wire.Reader) Public { return read(r, ParseAuth) }

// ReadDH reads a key that [ParseDH] accepts.
//
// Spec: smp.md 1.2
func ReadDH(r *wire.Reader) Public { return read(r, ParseDH) }

func read(r *wire.Reader, parse func([]byte) (Public, error)) Public {
	p, err := parse(r.Str())
	if err != nil || r.Failed() {
		r.Fail()
		return Public{}
	}
	return p
}
