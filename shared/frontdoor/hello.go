package frontdoor

import (
	"encoding/binary"
	"errors"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/address"
)

// Bounds of a ClientHello.
const (
	// maxHello is the longest message. Browsers send about 2 KB, with a key share that is safe from quantum computers, and
	// crypto/tls takes 64 KB.
	maxHello = 16 << 10
	// maxRead is how much is read for one, with the headers of records. The message may be split into many, and a client
	// that puts each byte in a record of its own is not honest.
	maxRead = 24 << 10
)

// The numbers of TLS that matter here.
//
// Source: RFC 8446 4, 4.1.2, 5.1; RFC 6066 3; RFC 7301 3.1
const (
	recordHeader    = 5
	messageHeader   = 4
	recordHandshake = 22
	messageHello    = 1
	extensionName   = 0
	extensionALPN   = 16
	nameOfHost      = 0
	maxRecord       = 16<<10 + 256
)

// What a connection may begin with instead of a ClientHello.
var (
	errNotTLS    = errors.New("frontdoor: not TLS")
	errMalformed = errors.New("frontdoor: malformed ClientHello")
	errTooLong   = errors.New("frontdoor: ClientHello too long")
)

// hello is what is read from a ClientHello.
type hello struct {
	name string   // the host that the client names, in lower case, "" if none
	alpn []string // the protocols that it offers, nil if it sends no list
}

// offers reports whether the client offers a protocol.
func (h hello) offers(protocol string) bool { return slices.Contains(h.alpn, protocol) }

// greeting is the room for what a connection begins with.
type greeting struct {
	raw     [maxRead]byte
	read    int // bytes of raw that were read
	record  int // where in raw the record begins that is not yet taken to its end
	taken   int // bytes of that record's content that were taken
	message [messageHeader + maxHello]byte
	length  int // bytes of message that are there
}

// reset makes the room that of another connection.
func (g *greeting) reset() { g.read, g.record, g.taken, g.length = 0, 0, 0, 0 }

// readHello reads a ClientHello from r. What was read is in g then, also with an error, and may go beyond the message.
func (g *greeting) readHello(r io.Reader) (hello, error) {
	for {
		message, err := g.assemble()
		if err != nil {
			return hello{}, err
		}
		if message != nil {
			return parseHello(message)
		}
		if g.read == len(g.raw) {
			return hello{}, errTooLong
		}
		n, err := r.Read(g.raw[g.read:])
		g.read += n
		if n == 0 && err != nil {
			return hello{}, err
		}
	}
}

// assemble takes what has come of the message out of the records, and returns it if it is all there.
//
// Source: RFC 8446 5.1
func (g *greeting) assemble() ([]byte, error) {
	for {
		record := g.raw[g.record:g.read]
		if err := checkRecord(record); err != nil {
			return nil, err
		}
		if len(record) < recordHeader {
			return nil, nil
		}
		end := recordHeader + int(binary.BigEndian.Uint16(record[3:]))
		part := record[recordHeader+g.taken : min(end, len(record))]
		g.length += copy(g.message[g.length:], part)
		g.taken += len(part)
		if message, err := complete(g.message[:g.length]); message != nil || err != nil {
			return message, err
		}
		if len(record) < end {
			return nil, nil
		}
		g.record, g.taken = g.record+end, 0
	}
}

// checkRecord tells as early as it shows that this is no record of a handshake. Its version means nothing.
func checkRecord(record []byte) error {
	switch {
	case len(record) > 0 && record[0] != recordHandshake:
		return errNotTLS
	case len(record) < recordHeader:
		return nil
	case binary.BigEndian.Uint16(record[3:]) == 0, binary.BigEndian.Uint16(record[3:]) > maxRecord:
		return errMalformed
	}
	return nil
}

// complete returns the message that parts begin with, if it is all there.
func complete(parts []byte) ([]byte, error) {
	if len(parts) > 0 && parts[0] != messageHello {
		return nil, errMalformed
	}
	if len(parts) < messageHeader {
		return nil, nil
	}
	length := int(parts[1])<<16 | int(parts[2])<<8 | int(parts[3])
	switch {
	case length > maxHello:
		return nil, errTooLong
	case len(parts) < messageHeader+length:
		return nil, nil
	}
	return parts[:messageHeader+length], nil
}

// parseHello takes name and protocols out of the message. What else is in it, is for the one that the connection is for.
//
// Source: RFC 8446 4.1.2
func parseHello(message []byte) (hello, error) {
	s := cryptobyte.String(message)
	var sessionID, suites, compressions, extensions cryptobyte.String
	if !s.Skip(messageHeader+2+32) || // version, random
		!s.ReadUint8LengthPrefixed(&sessionID) || !s.ReadUint16LengthPrefixed(&suites) ||
		!s.ReadUint8LengthPrefixed(&compressions) {
		return hello{}, errMalformed
	}
	var h hello
	if s.Empty() {
		return h, nil // there need not be extensions
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() {
		return h, errMalformed
	}
	var name, alpn bool
	for !extensions.Empty() {
		var kind uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			return h, errMalformed
		}
		if kind == extensionName && name || kind == extensionALPN && alpn || !h.take(kind, body) {
			return h, errMalformed
		}
		name, alpn = name || kind == extensionName, alpn || kind == extensionALPN
	}
	return h, nil
}

// take reads an extension; false if it is malformed.
func (h *hello) take(kind uint16, body cryptobyte.String) bool {
	switch kind {
	case extensionName:
		return h.takeName(body)
	case extensionALPN:
		return h.takeALPN(body)
	}
	return true
}

// takeName reads the list of names, of which there is one for each kind of name.
//
// Source: RFC 6066 3
func (h *hello) takeName(body cryptobyte.String) bool {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || list.Empty() || !body.Empty() {
		return false
	}
	for !list.Empty() {
		var kind uint8
		var name cryptobyte.String
		if !list.ReadUint8(&kind) || !list.ReadUint16LengthPrefixed(&name) || name.Empty() {
			return false
		}
		if kind != nameOfHost {
			continue
		}
		if h.name != "" {
			return false
		}
		h.name = address.CanonicalName(string(name))
	}
	return true
}

// takeALPN reads the list of protocols.
//
// Source: RFC 7301 3.1
func (h *hello) takeALPN(body cryptobyte.String) bool {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || list.Empty() || !body.Empty() {
		return false
	}
	for !list.Empty() {
		var protocol cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&protocol) || protocol.Empty() {
			return false
		}
		h.alpn = append(h.alpn, string(protocol))
	}
	return true
}
