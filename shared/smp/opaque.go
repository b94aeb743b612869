package smp

import (
	"fmt"
	"io"

	"sotto/shared/address"
	"sotto/shared/wire"
)

// Opaque is content that relays carry and do not read: message bodies, link data, ciphertext. It never prints
// itself.
type Opaque []byte

// Format keeps content out of logs and errors, whatever the verb.
func (Opaque) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[opaque]") }

// MarshalText keeps content out of JSON and logs.
func (Opaque) MarshalText() ([]byte, error) { return []byte("[opaque]"), nil }

// MessageID is the id of a message, 24 bytes when a relay of this kind made it. It never prints itself.
//
// Spec: smp.md 2.8
type MessageID []byte

// Format keeps message ids out of logs and errors, whatever the verb.
func (MessageID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[message]") }

// MarshalText keeps message ids out of JSON and logs.
func (MessageID) MarshalText() ([]byte, error) { return []byte("[message]"), nil }

// BasicAuth is the password for creating queues and for proxying.
//
// Spec: smp.md 1.6
type BasicAuth = address.Password

// maxStr is the longest byte string with a length of one byte.
const maxStr = 255

// readBasicAuth reads the value without its marker of presence.
func readBasicAuth(r *wire.Reader) BasicAuth {
	a := BasicAuth(r.Str())
	if !a.Valid() {
		r.Fail()
	}
	return a
}

// readMaybeBasicAuth reads an optional value; present and empty differs from absent.
func readMaybeBasicAuth(r *wire.Reader) (present bool, a BasicAuth) {
	if !r.Maybe() {
		return false, nil
	}
	return true, readBasicAuth(r)
}

// appendMaybeBasicAuth is the opposite of readMaybeBasicAuth.
func appendMaybeBasicAuth(dst []byte, present bool, a BasicAuth) []byte {
	dst = wire.AppendMaybe(dst, present)
	if present {
		dst = wire.AppendStr(dst, a)
	}
	return dst
}

// readMaybeID reads an optional id. Absent is nil; present is never nil, even when it is empty.
func readMaybeID(r *wire.Reader) wire.EntityID {
	if !r.Maybe() {
		return nil
	}
	id := r.Str()
	if id == nil {
		id = []byte{}
	}
	return id
}

// appendMaybeID is the opposite of readMaybeID.
func appendMaybeID(dst []byte, id wire.EntityID) []byte {
	dst = wire.AppendMaybe(dst, id != nil)
	if id != nil {
		dst = wire.AppendStr(dst, id)
	}
	return dst
}
