package xftp

import (
	"bytes"
	"fmt"
	"io"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// Command is one of the client commands of this package, always as a value, never as a pointer.
type Command interface {
	// Tag returns the command's word on the wire.
	Tag() string
	// Party returns whose command it is.
	Party() Party
	// AppendCommand appends the command: tag and parameters, without a transmission around it.
	AppendCommand(dst []byte) []byte
}

// Party says whose command it is, and with that what the entity id of its transmission names and which key authorises
// it.
//
// Spec: xftp.md 7.1
type Party uint8

// Parties, with the entity id of their commands.
const (
	None      Party = iota // PING; no entity
	Creator                // FNEW; no entity
	Sender                 // sender id of a chunk
	Recipient              // recipient id of a chunk
)

// FileInfo is what a chunk is registered with.
//
// Spec: xftp.md 8.1
type FileInfo struct {
	SenderKey key.Public
	Size      uint32
	Digest    []byte // SHA-256 of the chunk; parsed whatever its length
}

// Format keeps digests, which tell what a chunk holds, out of logs and errors, whatever the verb.
func (FileInfo) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[file]") }

// MarshalText keeps digests out of JSON and logs.
func (FileInfo) MarshalText() ([]byte, error) { return []byte("[file]"), nil }

// FNEW registers a chunk. Recipients has 1 to 255 keys.
//
// Spec: xftp.md 8.1
type FNEW struct {
	File         FileInfo
	Recipients   []key.Public
	HasBasicAuth bool // tells an absent password from an empty one
	BasicAuth    BasicAuth
}

// Tag returns "FNEW".
func (FNEW) Tag() string { return "FNEW" }

// Party returns Creator.
func (FNEW) Party() Party { return Creator }

// AppendCommand appends the command.
//
// Spec: xftp.md 8.1
func (c FNEW) AppendCommand(dst []byte) []byte {
	dst = c.File.SenderKey.AppendWire(append(dst, "FNEW "...))
	dst = wire.AppendUint32(dst, c.File.Size)
	dst = wire.AppendStr(dst, c.File.Digest)
	dst = appendKeys(dst, c.Recipients)
	dst = wire.AppendMaybe(dst, c.HasBasicAuth)
	if c.HasBasicAuth {
		dst = wire.AppendStr(dst, c.BasicAuth)
	}
	return dst
}

func readFNEW(r *wire.Reader) FNEW {
	c := FNEW{File: FileInfo{SenderKey: key.ReadAuth(r), Size: r.Uint32(), Digest: r.Str()}, Recipients: readKeys(r)}
	if c.HasBasicAuth = r.Maybe(); c.HasBasicAuth {
		if c.BasicAuth = r.Str(); !c.BasicAuth.Valid() {
			r.Fail()
		}
	}
	return c
}

// FADD adds 1 to 255 recipients to a chunk.
//
// Spec: xftp.md 8.2
type FADD struct{ Recipients []key.Public }

// Tag returns "FADD".
func (FADD) Tag() string { return "FADD" }

// Party returns Sender.
func (FADD) Party() Party { return Sender }

// AppendCommand appends the command.
//
// Spec: xftp.md 8.2
func (c FADD) AppendCommand(dst []byte) []byte {
	return appendKeys(append(dst, "FADD "...), c.Recipients)
}

// FPUT uploads the chunk that follows its block.
//
// Spec: xftp.md 8.5
type FPUT struct{}

// Tag returns "FPUT".
func (FPUT) Tag() string { return "FPUT" }

// Party returns Sender.
func (FPUT) Party() Party { return Sender }

// AppendCommand appends the command.
func (FPUT) AppendCommand(dst []byte) []byte { return append(dst, "FPUT"...) }

// FDEL deletes a chunk.
//
// Spec: xftp.md 8.3
type FDEL struct{}

// Tag returns "FDEL".
func (FDEL) Tag() string { return "FDEL" }

// Party returns Sender.
func (FDEL) Party() Party { return Sender }

// AppendCommand appends the command.
func (FDEL) AppendCommand(dst []byte) []byte { return append(dst, "FDEL"...) }

// FGET downloads a chunk, encrypted with what is agreed with Key, an X25519 key.
//
// Spec: xftp.md 8.6
type FGET struct{ Key key.Public }

// Tag returns "FGET".
func (FGET) Tag() string { return "FGET" }

// Party returns Recipient.
func (FGET) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: xftp.md 8.6
func (c FGET) AppendCommand(dst []byte) []byte { return c.Key.AppendWire(append(dst, "FGET "...)) }

// FACK ends a recipient's access to a chunk.
//
// Spec: xftp.md 8.7
type FACK struct{}

// Tag returns "FACK".
func (FACK) Tag() string { return "FACK" }

// Party returns Recipient.
func (FACK) Party() Party { return Recipient }

// AppendCommand appends the command.
func (FACK) AppendCommand(dst []byte) []byte { return append(dst, "FACK"...) }

// PING asks for a sign of life.
//
// Spec: xftp.md 8.4
type PING struct{}

// Tag returns "PING".
func (PING) Tag() string { return "PING" }

// Party returns None.
func (PING) Party() Party { return None }

// AppendCommand appends the command.
func (PING) AppendCommand(dst []byte) []byte { return append(dst, "PING"...) }

var space = []byte{' '}

// ParseCommand parses a complete command. The error is [CmdUnknown] for a tag that is no command, and [CmdSyntax] for any
// deviation in what follows the tag. Slices in the result are views of b.
//
// Spec: xftp.md 6.1
func ParseCommand(b []byte) (Command, error) {
	tag, params, hasParams := bytes.Cut(b, space)
	if c := bareCommand(tag); c != nil {
		if hasParams {
			return nil, CmdSyntax
		}
		return c, nil
	}
	r := wire.NewReader(params)
	var c Command
	switch string(tag) {
	case "FNEW":
		c = readFNEW(&r)
	case "FADD":
		c = FADD{Recipients: readKeys(&r)}
	case "FGET":
		c = FGET{Key: key.ReadDH(&r)}
	default:
		return nil, CmdUnknown
	}
	if !hasParams || r.Done() != nil {
		return nil, CmdSyntax
	}
	return c, nil
}

// bareCommand returns the command that consists of this tag alone, or nil.
func bareCommand(tag []byte) Command {
	switch string(tag) {
	case "FPUT":
		return FPUT{}
	case "FDEL":
		return FDEL{}
	case "FACK":
		return FACK{}
	case "PING":
		return PING{}
	}
	return nil
}

// CheckCredentials reports whether a transmission of c may have, or lack, an authorization and an entity id. The error is
// [CmdNoAuth] or [CmdHasAuth].
//
// Spec: xftp.md 7.1
func CheckCredentials(c Command, hasAuth, hasEntity bool) error {
	switch c.Party() {
	case None:
		if hasAuth || hasEntity {
			return CmdHasAuth
		}
	case Creator:
		if !hasAuth {
			return CmdNoAuth
		}
		if hasEntity {
			return CmdHasAuth
		}
	default:
		if !hasAuth || !hasEntity {
			return CmdNoAuth
		}
	}
	return nil
}

func appendKeys(dst []byte, keys []key.Public) []byte {
	dst = wire.AppendCount(dst, len(keys))
	for _, k := range keys {
		dst = k.AppendWire(dst)
	}
	return dst
}

// minKeyLength is that of the shortest key with its length, which bounds what a count can make a parser allocate.
const minKeyLength = 45

// readKeys reads 1 to 255 keys for authorization.
func readKeys(r *wire.Reader) []key.Public {
	n := r.NonEmptyCount()
	if n > r.Len()/minKeyLength {
		r.Fail()
	}
	if r.Failed() {
		return nil
	}
	keys := make([]key.Public, 0, n)
	for range n {
		keys = append(keys, key.ReadAuth(r))
	}
	return keys
}
