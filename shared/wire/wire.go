// Package wire reads and writes what SMP and XFTP have in common below their commands: the primitive encodings, padded
// blocks, batches, and the transmissions in a batch. Every byte a connection receives passes through it after decryption,
// and every byte sent before encryption.
//
// Reading never panics, never allocates, and never copies: results are views of the input, with their capacity cut to
// their length so that an append to one of them cannot overwrite what follows.
//
// Spec: smp.md 1.1
package wire

import "errors"

// ErrSyntax reports input that does not have the form its section of the specification demands. It says nothing about
// the place, because malformed input is ordinary and is answered by a protocol error.
var ErrSyntax = errors.New("wire: malformed input")

// ErrTooLong reports a message that does not fit the padded size it was to be given.
var ErrTooLong = errors.New("wire: message too long")
