// Package xftp is the codec of the file transfer protocol, versions 1 to 3: commands, responses, errors, the blocks they
// travel in, and the handshakes of native and web clients. It does no I/O: a relay and its clients give what it parses a
// meaning.
//
// Types carry the names of the wire tags ([FNEW], [SIDS]). Parsers are strict, never panic and return views of their
// input; whoever keeps a parsed value beyond the life of the input copies it. Append functions write to the end of a
// slice and return it.
package xftp

import (
	"sotto/shared/address"
	"sotto/shared/wire"
)

// BlockSize is the length of a head: the part of each body in front of the bytes of a chunk.
//
// Spec: xftp.md 4.2
const BlockSize = wire.BlockSize

// IDSize is the length of the ids that relays make. Ids of other lengths are parsed.
//
// Spec: xftp.md 8.1
const IDSize = 16

// Versions of the protocol that changed something.
//
// Spec: xftp.md 5.1
const (
	// Version1 is the first, and that of connections without ALPN.
	Version1 wire.Version = 1
	// VersionAuth has session keys in the handshake, and with them X25519 authenticators.
	VersionAuth wire.Version = 2
	// VersionBlocked has ERR BLOCKED; older clients get ERR AUTH.
	VersionBlocked wire.Version = 3
)

// Versions that this package encodes and decodes.
//
// Spec: xftp.md 5.1
var Versions = wire.VersionRange{Min: Version1, Max: VersionBlocked}

// The ALPN protocols, in the relay's order of preference. Whatever is chosen, HTTP/2 is spoken.
//
// Spec: xftp.md 3.3
const (
	ALPN      = "xftp/1"
	ALPNHTTP2 = "h2"
	ALPNHTTP1 = "http/1.1"
)

// Headers with which a browser marks the requests of its handshake. Their values are not looked at.
//
// Spec: xftp.md 5.4
const (
	HeaderHello     = "xftp-web-hello"
	HeaderHandshake = "xftp-handshake"
)

// ChunkSizes are the lengths in bytes that a chunk may have, in their order.
//
// Spec: xftp.md 12.2
var ChunkSizes = []uint32{64 << 10, 256 << 10, 1 << 20, 4 << 20}

// MaxRecipients is how many recipients one command can name.
//
// Spec: xftp.md 8.1
const MaxRecipients = 255

// BasicAuth is the password for registering chunks.
//
// Spec: xftp.md 2.3
type BasicAuth = address.Password
