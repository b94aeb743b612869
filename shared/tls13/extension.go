package tls13

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// The extensions.
//
// Source: RFC 8446 4.2
const (
	extensionName       = 0
	extensionGroups     = 10
	extensionSignatures = 13
	extensionALPN       = 16
	extensionVersions   = 43
	extensionCookie     = 44
	extensionShares     = 51
)

// The values that extensions have here.
const (
	versionTLS13 = 0x0304
	groupX25519  = 0x001d
	shareSize    = 32
)

// maxExtensions is how many extensions one message may have: more than are defined for any.
const maxExtensions = 64

// extension is an extension to send.
type extension struct {
	kind uint16
	fill func(*cryptobyte.Builder)
}

// addExtensions appends a list of extensions.
func addExtensions(b *cryptobyte.Builder, list ...extension) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, e := range list {
			b.AddUint16(e.kind)
			b.AddUint16LengthPrefixed(e.fill)
		}
	})
}

// readExtensions reads a list of extensions, each of which may occur once, and hands each to take.
func readExtensions(s *cryptobyte.String, take func(kind uint16, body cryptobyte.String) error) error {
	var list cryptobyte.String
	if !s.ReadUint16LengthPrefixed(&list) {
		return ErrMessage
	}
	var seen []uint16
	for !list.Empty() {
		var kind uint16
		var body cryptobyte.String
		if !list.ReadUint16(&kind) || !list.ReadUint16LengthPrefixed(&body) {
			return ErrMessage
		}
		if len(seen) == maxExtensions {
			return ErrTooLarge
		}
		if slices.Contains(seen, kind) {
			return ErrParameter
		}
		seen = append(seen, kind)
		if err := take(kind, body); err != nil {
			return err
		}
	}
	return nil
}

// refuseExtension takes no extension.
func refuseExtension(uint16, cryptobyte.String) error { return ErrExtension }

func addSchemes(b *cryptobyte.Builder, list []Scheme) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, scheme := range list {
			b.AddUint16(uint16(scheme))
		}
	})
}

// readSchemes reads a list of at least one scheme.
func readSchemes(body cryptobyte.String, to *[]Scheme) bool {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || !body.Empty() || list.Empty() {
		return false
	}
	for !list.Empty() {
		var scheme uint16
		if !list.ReadUint16(&scheme) {
			return false
		}
		*to = append(*to, Scheme(scheme))
	}
	return true
}

// addALPN appends a list of protocols.
//
// Source: RFC 7301 3.1
func addALPN(b *cryptobyte.Builder, protocols ...string) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, p := range protocols {
			b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(p)) })
		}
	})
}

// readALPN reads the list of exactly one protocol that a server has chosen.
//
// Source: RFC 7301 3.1
func readALPN(body cryptobyte.String) (string, bool) {
	var list, protocol cryptobyte.String
	ok := body.ReadUint16LengthPrefixed(&list) && body.Empty() &&
		list.ReadUint8LengthPrefixed(&protocol) && list.Empty() && !protocol.Empty()
	return string(protocol), ok
}

// addShare appends a key share.
//
// Source: RFC 8446 4.2.8
func addShare(b *cryptobyte.Builder, group uint16, public []byte) {
	b.AddUint16(group)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(public) })
}
