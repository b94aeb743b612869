package wire

import (
	"fmt"
	"io"
)

// EntityID names a queue, link, notifier, service, chunk or proxy session on the wire: 0 to 255 bytes. It prints as a
// placeholder, because ids must not reach logs.
type EntityID []byte

// Format writes "[entity]" for every verb.
func (EntityID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[entity]") }

// MarshalText returns "[entity]", which is also what encoding/json and structured logs show.
func (EntityID) MarshalText() ([]byte, error) { return []byte("[entity]"), nil }

// CorrID is the correlation id of a command, repeated by its response: 0 to 255 bytes, empty in events the relay
// initiates. It prints as a placeholder.
type CorrID []byte

// Format writes "[corr]" for every verb.
func (CorrID) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[corr]") }

// MarshalText returns "[corr]".
func (CorrID) MarshalText() ([]byte, error) { return []byte("[corr]"), nil }
