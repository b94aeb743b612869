package clienthello

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"

	"sotto/shared/address"
)

// The extensions that are read. What is in others is for the one that the connection is for.
//
// Source: RFC 8446 4.2
const (
	ExtensionName       = 0
	ExtensionGroups     = 10
	ExtensionSignatures = 13
	ExtensionALPN       = 16
	ExtensionVersions   = 43
	ExtensionShares     = 51
)

const (
	nameOfHost = 0
	randomSize = 32
)

// Hello is a ClientHello. Its slices are views into the message it was parsed from.
//
// Source: RFC 8446 4.1.2
type Hello struct {
	Message      []byte // with its header, as it was sent
	Version      uint16 // legacy_version
	Random       []byte // 32 bytes
	SessionID    []byte // legacy_session_id
	Suites       []uint16
	Compressions []byte
	Extensions   []Extension // in the order of their types, each once
	Last         uint16      // the type of the extension that was sent last, if there is one

	Name       string   // the host that the client names, in lower case, "" if none
	ALPN       []string // the protocols that it offers, nil if it sends no list
	Versions   []uint16 // supported_versions, nil if it sends no list
	Groups     []uint16 // supported_groups, nil if it sends no list
	Signatures []uint16 // signature_algorithms, nil if it sends no list
	Shares     []Share  // key_share; there may be a list without any
}

// Extension is one extension of a ClientHello.
type Extension struct {
	Type uint16
	Body []byte
}

// Share is a client's public key for key agreement in a group.
//
// Source: RFC 8446 4.2.8
type Share struct {
	Group uint16
	Key   []byte
}

// Offers reports whether the client offers a protocol.
func (h *Hello) Offers(protocol string) bool { return slices.Contains(h.ALPN, protocol) }

// Has reports whether there is an extension of this type.
func (h *Hello) Has(extension uint16) bool {
	_, found := slices.BinarySearchFunc(h.Extensions, extension, byType)
	return found
}

func byType(e Extension, kind uint16) int { return int(e.Type) - int(kind) }

// Parse reads the message, with its header, and keeps it: it must not be changed any more. The error is [ErrMalformed].
//
// Source: RFC 8446 4.1.2
func Parse(message []byte) (*Hello, error) {
	h := &Hello{Message: message}
	s := cryptobyte.String(message)
	var sessionID, suites, compressions, extensions cryptobyte.String
	var kind uint8
	var length uint32
	if !s.ReadUint8(&kind) || kind != messageHello || !s.ReadUint24(&length) || int(length) != len(s) ||
		!s.ReadUint16(&h.Version) || !s.ReadBytes(&h.Random, randomSize) ||
		!s.ReadUint8LengthPrefixed(&sessionID) || !s.ReadUint16LengthPrefixed(&suites) ||
		!s.ReadUint8LengthPrefixed(&compressions) || !readNumbers(suites, &h.Suites) {
		return nil, ErrMalformed
	}
	h.SessionID, h.Compressions = sessionID, compressions
	if s.Empty() {
		return h, nil // there need not be extensions
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || !s.Empty() || !h.takeAll(extensions) {
		return nil, ErrMalformed
	}
	return h, nil
}

// takeAll reads the extensions, of which there must not be two of a type.
//
// Source: RFC 8446 4.2
func (h *Hello) takeAll(extensions cryptobyte.String) bool {
	for !extensions.Empty() {
		var kind uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&body) {
			return false
		}
		h.Extensions = append(h.Extensions, Extension{kind, body})
		h.Last = kind
	}
	slices.SortFunc(h.Extensions, func(a, b Extension) int { return byType(a, b.Type) })
	for i, e := range h.Extensions {
		if i > 0 && h.Extensions[i-1].Type == e.Type || !h.take(e.Type, e.Body) {
			return false
		}
	}
	return true
}

// take reads an extension; false if it is malformed.
func (h *Hello) take(kind uint16, body cryptobyte.String) bool {
	switch kind {
	case ExtensionName:
		return h.takeName(body)
	case ExtensionALPN:
		return h.takeALPN(body)
	case ExtensionVersions: // Source: RFC 8446 4.2.1
		var list cryptobyte.String
		return body.ReadUint8LengthPrefixed(&list) && body.Empty() && !list.Empty() && readNumbers(list, &h.Versions)
	case ExtensionGroups: // Source: RFC 8446 4.2.7
		return readList(body, &h.Groups)
	case ExtensionSignatures: // Source: RFC 8446 4.2.3
		return readList(body, &h.Signatures)
	case ExtensionShares:
		return h.takeShares(body)
	}
	return true
}

// readList reads an extension that is a list of numbers, at least one.
func readList(body cryptobyte.String, to *[]uint16) bool {
	var list cryptobyte.String
	return body.ReadUint16LengthPrefixed(&list) && body.Empty() && !list.Empty() && readNumbers(list, to)
}

func readNumbers(list cryptobyte.String, to *[]uint16) bool {
	numbers := make([]uint16, 0, len(list)/2)
	for !list.Empty() {
		var n uint16
		if !list.ReadUint16(&n) {
			return false
		}
		numbers = append(numbers, n)
	}
	*to = numbers
	return true
}

// takeShares reads the list of key shares, which may be empty.
//
// Source: RFC 8446 4.2.8
func (h *Hello) takeShares(body cryptobyte.String) bool {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || !body.Empty() {
		return false
	}
	for !list.Empty() {
		var group uint16
		var share cryptobyte.String
		if !list.ReadUint16(&group) || !list.ReadUint16LengthPrefixed(&share) || share.Empty() {
			return false
		}
		h.Shares = append(h.Shares, Share{group, share})
	}
	return true
}

// takeName reads the list of names, of which there is one for each kind of name.
//
// Source: RFC 6066 3
func (h *Hello) takeName(body cryptobyte.String) bool {
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
		if h.Name != "" {
			return false
		}
		h.Name = address.CanonicalName(string(name))
	}
	return true
}

// takeALPN reads the list of protocols.
//
// Source: RFC 7301 3.1
func (h *Hello) takeALPN(body cryptobyte.String) bool {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || list.Empty() || !body.Empty() {
		return false
	}
	for !list.Empty() {
		var protocol cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&protocol) || protocol.Empty() {
			return false
		}
		h.ALPN = append(h.ALPN, string(protocol))
	}
	return true
}
