// Package smp is the codec of the SimpleX Messaging Protocol, versions 6 to 18: commands, responses, errors, the
// handshake, message bodies, the layers of proxying, and server addresses. It stands between package wire, which
// splits blocks into transmissions, and a relay or client, which give the commands their meaning.
//
// Types carry the names of the wire tags ([SEND], [IDS]). Parsers are strict, never panic and return views of their
// input; whoever keeps a parsed value beyond the life of the input copies it. Append functions write to the end of
// a slice and return it. The package does no I/O and no cryptography.
package smp

import (
	"bytes"

	"sotto/shared/wire"
)

// Command is one of the client commands of this package, always as a value, never as a pointer.
type Command interface {
	// Tag returns the command's word on the wire.
	Tag() string
	// Party returns whose command it is.
	Party() Party
	// AppendCommand appends the command as version v spells it: tag and parameters, without a transmission
	// around it. What the version cannot express is left out.
	AppendCommand(dst []byte, v wire.Version) []byte
}

// Party says whose command it is, and with that what the entity id of its transmission names and which key
// authorises it.
//
// Spec: smp.md 9.1
type Party uint8

// Parties, with the entity id of their commands.
const (
	None             Party = iota // PING; no entity
	Creator                       // NEW; no entity
	Recipient                     // recipient id of a queue
	RecipientService              // service id
	Sender                        // sender id of a queue
	Link                          // link id of a queue
	Notifier                      // notifier id of a queue
	NotifierService               // service id
	ProxiedClient                 // PRXY: no entity; PFWD: session id of the proxy's connection to a relay
	ProxyService                  // RFWD; no entity
)

// String returns the party's name in words.
func (p Party) String() string {
	names := [...]string{
		"no party", "creator", "recipient", "recipient service", "sender", "link", "notifier", "notifier service",
		"proxied client", "proxy service",
	}
	if int(p) < len(names) {
		return names[p]
	}
	return "unknown party"
}

var space = []byte{' '}

// ParseCommand parses a complete command of version v. The error is [CmdUnknown] for a tag that is no client
// command, and [CmdSyntax] for any deviation in what follows the tag. Slices in the result are views of b. A command
// is accepted in every version, also in those before it was introduced.
//
// Spec: smp.md 6.6
// Spec: smp.md 9.1
func ParseCommand(v wire.Version, b []byte) (Command, error) {
	tag, params, hasParams := bytes.Cut(b, space)
	if c := bareCommand(tag); c != nil {
		if hasParams {
			return nil, CmdSyntax
		}
		return c, nil
	}
	r := wire.NewReader(params)
	c := readCommand(v, tag, &r)
	switch {
	case c == nil:
		return nil, CmdUnknown
	case !hasParams || r.Done() != nil:
		return nil, CmdSyntax
	}
	return c, nil
}

// bareCommand returns the command that consists of this tag alone, or nil.
func bareCommand(tag []byte) Command {
	switch string(tag) {
	case "SUB":
		return SUB{}
	case "GET":
		return GET{}
	case "PING":
		return PING{}
	case "NSUB":
		return NSUB{}
	case "LGET":
		return LGET{}
	case "LDEL":
		return LDEL{}
	case "NDEL":
		return NDEL{}
	case "OFF":
		return OFF{}
	case "DEL":
		return DEL{}
	case "QUE":
		return QUE{}
	case "SUBS":
		return SUBS{}
	case "NSUBS":
		return NSUBS{}
	}
	return nil
}

// readCommand reads the parameters of the command with this tag. It returns nil when there is no such command; the
// reader has failed when the parameters are malformed.
func readCommand(v wire.Version, tag []byte, r *wire.Reader) Command {
	switch string(tag) {
	case "SEND":
		return readSEND(r)
	case "ACK":
		return readACK(r)
	case "NEW":
		return readNEW(r, v)
	case "KEY":
		return readKEY(r)
	case "SKEY":
		return readSKEY(r)
	case "RKEY":
		return readRKEY(r)
	case "NKEY":
		return readNKEY(r)
	case "LSET":
		return readLSET(r)
	case "LKEY":
		return readLKEY(r)
	case "PRXY":
		return readPRXY(r)
	case "PFWD":
		return readPFWD(r)
	case "RFWD":
		return readRFWD(r)
	}
	return nil
}

// CheckCredentials reports whether a transmission of c may have, or lack, an authorization and an entity id. The
// error is [CmdNoAuth], [CmdHasAuth] or [CmdNoEntity].
//
// Spec: smp.md 6.7
func CheckCredentials(c Command, hasAuth, hasEntity bool) error {
	switch c.(type) {
	case NEW:
		return credentials(hasAuth, !hasEntity, CmdNoAuth, CmdHasAuth)
	case SEND:
		return credentials(hasEntity, true, CmdNoEntity, "")
	case LGET, PFWD:
		return credentials(hasEntity, !hasAuth, CmdNoEntity, CmdHasAuth)
	case PING, PRXY, RFWD:
		return credentials(!hasAuth && !hasEntity, true, CmdHasAuth, "")
	}
	return credentials(hasAuth && hasEntity, true, CmdNoAuth, "")
}

// credentials returns the error of the first condition that does not hold.
func credentials(first, second bool, firstErr, secondErr CommandError) error {
	switch {
	case !first:
		return firstErr
	case !second:
		return secondErr
	}
	return nil
}
