// Package description has the descriptions of files on relays, and the links that carry them: which chunks a file was
// divided into, where they are, and the keys to fetch and decrypt them. Whoever has a description has the file. It does no
// I/O.
//
// Spec: xftp.md 13
package description

import (
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/wire"
)

// Party is whom a description is for.
//
// Spec: xftp.md 13.1
type Party uint8

// Parties.
const (
	Recipient Party = iota // may download the file
	Sender                 // may delete it
)

// String returns the word for the party, "recipient" or "sender".
func (p Party) String() string {
	if p == Sender {
		return "sender"
	}
	return "recipient"
}

// Description describes an encrypted file on relays. It prints as a placeholder.
//
// Spec: xftp.md 13.1
type Description struct {
	Party  Party
	Size   int64             // bytes of the encrypted file, which is the sum of its chunks
	Digest [sha512.Size]byte // of the encrypted file
	Key    [box.KeySize]byte
	Nonce  [box.NonceSize]byte
	// ChunkSize is the default size in bytes; only other sizes are written with their chunks.
	ChunkSize uint32
	Chunks    []Chunk   // the first has number 1
	Redirect  *Redirect // nil unless the file is itself a description
}

// Chunk is a part of the encrypted file. It prints as a placeholder.
//
// Spec: xftp.md 13.3
type Chunk struct {
	Size     uint32 // bytes
	Digest   [sha256.Size]byte
	Replicas []Replica // at least one; the first is preferred
}

// Replica is the copy of a chunk on one relay, with an id and a private key: the recipient's or the sender's, as the
// description's party. It prints as a placeholder.
//
// Spec: xftp.md 13.3
type Replica struct {
	Server address.Server // without a password
	ID     wire.EntityID  // not empty
	Key    auth.Key
}

// Redirect says what the description is like that the described file holds. It prints as a placeholder.
//
// Spec: xftp.md 13.4
type Redirect struct {
	Size   int64             // of the other description's file
	Digest [sha512.Size]byte // of the other description's file
}

// Leads reports whether target is the description that r stands for: one for a recipient, of the announced size and
// digest, and not another redirect, of which only one is allowed.
//
// Spec: xftp.md 13.4
func (r Redirect) Leads(target *Description) bool {
	return target.Party == Recipient && target.Redirect == nil && target.Size == r.Size && target.Digest == r.Digest
}

// ErrDescription reports a text that is not a file description. The errors of [Parse] wrap it and say what is wrong,
// without quoting it.
var ErrDescription = errors.New("not a file description")

// Bounds of what is parsed.
const (
	// MaxText is the longest description in bytes, compressed or not. That of the largest file, 5 GiB in chunks of 4 MiB,
	// has 200 KiB.
	MaxText = 1 << 20
	// maxChunks is more than [MaxText] has room for with ids that relays make, and six times what the largest file needs.
	maxChunks = 8192
	// maxReplicas bounds how often one chunk can be tried. No client writes more than one.
	maxReplicas = 16
)

// Format writes "[file description]" for every verb.
func (Description) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[file description]") }

// MarshalText returns "[file description]".
func (Description) MarshalText() ([]byte, error) { return []byte("[file description]"), nil }

// Format writes "[chunk]" for every verb.
func (Chunk) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[chunk]") }

// MarshalText returns "[chunk]".
func (Chunk) MarshalText() ([]byte, error) { return []byte("[chunk]"), nil }

// Format writes "[replica]" for every verb.
func (Replica) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[replica]") }

// MarshalText returns "[replica]".
func (Replica) MarshalText() ([]byte, error) { return []byte("[replica]"), nil }

// Format writes "[redirect]" for every verb.
func (Redirect) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redirect]") }

// MarshalText returns "[redirect]".
func (Redirect) MarshalText() ([]byte, error) { return []byte("[redirect]"), nil }
