package tls13

import (
	"bytes"
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

const randomSize = 32

// retryRandom is the random of a ServerHello that is a HelloRetryRequest.
//
// Source: RFC 8446 4.1.3
var retryRandom = []byte("\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c")

// clientHello is what a client sends first, and again, with the cookie, when it is asked to.
//
// Source: RFC 8446 4.1.2
type clientHello struct {
	random    [randomSize]byte
	sessionID [32]byte // without a meaning, but not empty, so that it looks like that of a client from before 1.3
	suites    []uint16
	name      string
	alpn      []string
	share     []byte
	cookie    []byte
}

func (m *clientHello) marshal() []byte {
	return marshal(messageClientHello, func(b *cryptobyte.Builder) {
		b.AddUint16(legacyVersion)
		b.AddBytes(m.random[:])
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.sessionID[:]) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, id := range m.suites {
				b.AddUint16(id)
			}
		})
		b.AddBytes([]byte{1, 0}) // one method of compression: none
		addExtensions(b, m.extensions()...)
	})
}

// extensions returns those of the message, in the order in which they are sent.
func (m *clientHello) extensions() []extension {
	var list []extension
	add := func(kind uint16, fill func(*cryptobyte.Builder)) { list = append(list, extension{kind, fill}) }
	if m.name != "" {
		add(extensionName, func(b *cryptobyte.Builder) { addName(b, m.name) })
	}
	if len(m.cookie) > 0 {
		add(extensionCookie, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.cookie) })
		})
	}
	add(extensionVersions, func(b *cryptobyte.Builder) { b.AddBytes([]byte{2, versionTLS13 >> 8, versionTLS13 & 0xff}) })
	add(extensionSignatures, func(b *cryptobyte.Builder) { addSchemes(b, schemes) })
	add(extensionGroups, func(b *cryptobyte.Builder) { b.AddBytes([]byte{0, 2, groupX25519 >> 8, groupX25519}) })
	add(extensionShares, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { addShare(b, groupX25519, m.share) })
	})
	if len(m.alpn) > 0 {
		add(extensionALPN, func(b *cryptobyte.Builder) { addALPN(b, m.alpn...) })
	}
	return list
}

// addName appends the name of a host.
//
// Source: RFC 6066 3
func addName(b *cryptobyte.Builder, name string) {
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint8(0) // a host's
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
	})
}

// serverHello is the answer to a ClientHello: ServerHello or HelloRetryRequest.
//
// Source: RFC 8446 4.1.3
// Source: RFC 8446 4.1.4
type serverHello struct {
	random    []byte
	sessionID []byte // that of the client
	suite     uint16
	version   uint16
	group     uint16 // of the share, or, of a retry, the one that the client is to send a share for; 0 if there is none
	share     []byte // of a ServerHello alone
	cookie    []byte // of a retry alone
	unknown   bool   // there is an extension that does not belong here
}

// retry reports whether the message is a HelloRetryRequest.
func (m *serverHello) retry() bool { return bytes.Equal(m.random, retryRandom) }

func (m *serverHello) marshal() []byte {
	return marshal(messageServerHello, func(b *cryptobyte.Builder) {
		b.AddUint16(legacyVersion)
		b.AddBytes(m.random)
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.sessionID) })
		b.AddUint16(m.suite)
		b.AddUint8(0) // no compression
		addExtensions(b, m.extensions()...)
	})
}

// extensions returns those of the message, in the order in which they are sent.
func (m *serverHello) extensions() []extension {
	list := []extension{{extensionVersions, func(b *cryptobyte.Builder) { b.AddUint16(m.version) }}}
	if m.group != 0 && m.retry() {
		list = append(list, extension{extensionShares, func(b *cryptobyte.Builder) { b.AddUint16(m.group) }})
	} else if m.group != 0 {
		list = append(list, extension{extensionShares, func(b *cryptobyte.Builder) { addShare(b, m.group, m.share) }})
	}
	if len(m.cookie) > 0 {
		list = append(list, extension{extensionCookie, func(b *cryptobyte.Builder) {
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.cookie) })
		}})
	}
	return list
}

// parseServerHello reads the message. Its slices are views into it. A message without extensions is that of a server which
// does not speak TLS 1.3.
func parseServerHello(message []byte) (*serverHello, error) {
	s := body(message)
	m := new(serverHello)
	var legacy uint16
	var sessionID cryptobyte.String
	var compression uint8
	if !s.ReadUint16(&legacy) || !s.ReadBytes(&m.random, randomSize) || !s.ReadUint8LengthPrefixed(&sessionID) ||
		!s.ReadUint16(&m.suite) || !s.ReadUint8(&compression) {
		return nil, ErrMessage
	}
	m.sessionID = sessionID
	if s.Empty() {
		return nil, ErrVersion
	}
	if err := readExtensions(&s, m.take); err != nil {
		return nil, err
	}
	switch {
	case !s.Empty():
		return nil, ErrMessage
	case m.version != versionTLS13:
		return nil, ErrVersion
	case legacy != legacyVersion || compression != 0:
		return nil, ErrParameter
	case m.unknown:
		return nil, ErrExtension
	}
	return m, nil
}

// take reads an extension. Those that do not belong here are noted, and refused when the version is known: a ServerHello
// from before 1.3 has some, and is to fail for its version.
func (m *serverHello) take(kind uint16, body cryptobyte.String) error {
	ok := true
	switch kind {
	case extensionVersions:
		ok = body.ReadUint16(&m.version)
	case extensionShares:
		ok = body.ReadUint16(&m.group) && (m.retry() || readShare(&body, &m.share))
	case extensionCookie:
		m.unknown = m.unknown || !m.retry()
		var cookie cryptobyte.String
		ok = body.ReadUint16LengthPrefixed(&cookie) && !cookie.Empty()
		m.cookie = cookie
	default:
		m.unknown = true
		return nil
	}
	if !ok || !body.Empty() {
		return ErrMessage
	}
	return nil
}

func readShare(body *cryptobyte.String, to *[]byte) bool {
	var share cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&share) || share.Empty() {
		return false
	}
	*to = share
	return true
}

// encryptedExtensions is what a server answers to the client's extensions.
//
// Source: RFC 8446 4.3.1
type encryptedExtensions struct {
	alpn string // "" if none was chosen
	name bool   // the server has made use of the name
}

func (m *encryptedExtensions) marshal() []byte {
	return marshal(messageEncryptedExtensions, func(b *cryptobyte.Builder) {
		var list []extension
		if m.name {
			list = append(list, extension{extensionName, func(*cryptobyte.Builder) {}})
		}
		if m.alpn != "" {
			list = append(list, extension{extensionALPN, func(b *cryptobyte.Builder) { addALPN(b, m.alpn) }})
		}
		addExtensions(b, list...)
	})
}

// parseEncryptedExtensions reads the message that answers hello.
func parseEncryptedExtensions(message []byte, hello *clientHello) (*encryptedExtensions, error) {
	s := body(message)
	m := new(encryptedExtensions)
	err := readExtensions(&s, func(kind uint16, body cryptobyte.String) error { return m.take(kind, body, hello) })
	if err == nil && !s.Empty() {
		err = ErrMessage
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// take reads an extension, which has to answer one of hello.
func (m *encryptedExtensions) take(kind uint16, body cryptobyte.String, hello *clientHello) error {
	switch {
	case kind == extensionGroups:
		return nil // for other connections to this server, of which this one knows nothing
	case kind == extensionName && hello.name != "":
		if m.name = true; !body.Empty() {
			return ErrMessage
		}
	case kind == extensionALPN && len(hello.alpn) > 0:
		var ok bool
		if m.alpn, ok = readALPN(body); !ok {
			return ErrMessage
		}
		if !slices.Contains(hello.alpn, m.alpn) {
			return ErrParameter
		}
	default:
		return ErrExtension
	}
	return nil
}
