package smp

import (
	"sotto/shared/address"
	"sotto/shared/wire"
)

// Server names a relay for messages.
//
// Spec: smp.md 1.4
type Server = address.Server

// Host is the textual form of a host.
//
// Spec: smp.md 1.5
type Host = address.Host

// WebPort is the port that apps may use instead of the default, for addresses without one.
//
// Spec: smp.md 1.4
const WebPort = "443"

// ErrAddress reports a text that is not a server address.
var ErrAddress = address.ErrAddress

// ParseAddress parses the address of a relay for messages. The error wraps [ErrAddress].
//
// Spec: smp.md 1.4
func ParseAddress(text string) (Server, error) { return address.Parse(address.SMP, text) }

// ReadServer reads the binary form of an address.
//
// Spec: smp.md 1.5
func ReadServer(r *wire.Reader) Server { return address.ReadServer(r) }
