package tls13

import (
	"golang.org/x/crypto/cryptobyte"
)

// The types of handshake messages.
//
// Source: RFC 8446 4
const (
	messageClientHello         = 1
	messageServerHello         = 2
	messageNewSessionTicket    = 4
	messageEncryptedExtensions = 8
	messageCertificate         = 11
	messageCertificateRequest  = 13
	messageCertificateVerify   = 15
	messageFinished            = 20
	messageKeyUpdate           = 24
	messageHash                = 254
)

const messageHeader = 4

// maxMessage returns how long the body of a message may be, 0 for types that have no place here.
func maxMessage(kind byte) int {
	switch kind {
	case messageClientHello, messageServerHello, messageEncryptedExtensions, messageCertificateRequest:
		return maxHello
	case messageCertificate:
		return maxCertificate
	case messageCertificateVerify:
		return maxVerify
	case messageFinished:
		return maxHash
	case messageNewSessionTicket:
		return maxTicket
	case messageKeyUpdate:
		return 1
	default:
		return 0
	}
}

// body returns a message without its header.
func body(message []byte) cryptobyte.String { return message[messageHeader:] }

// marshal makes a message of the type.
func marshal(kind byte, fill func(*cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	b.AddUint8(kind)
	b.AddUint24LengthPrefixed(fill)
	return b.BytesOrPanic()
}

// certificateRequest is what a server wants of a client's certificate. Before the end of a handshake its context is empty.
//
// Source: RFC 8446 4.3.2
type certificateRequest struct {
	schemes []Scheme
}

func (m *certificateRequest) marshal() []byte {
	return marshal(messageCertificateRequest, func(b *cryptobyte.Builder) {
		b.AddUint8(0)
		addExtensions(b, extension{extensionSignatures, func(b *cryptobyte.Builder) { addSchemes(b, m.schemes) }})
	})
}

func parseCertificateRequest(message []byte) (*certificateRequest, error) {
	s := body(message)
	var context cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&context) {
		return nil, ErrMessage
	}
	if !context.Empty() {
		return nil, ErrParameter
	}
	m := new(certificateRequest)
	// Extensions that are not known are to be ignored here: the server asks, it does not answer.
	err := readExtensions(&s, func(kind uint16, body cryptobyte.String) error {
		if kind == extensionSignatures && !readSchemes(body, &m.schemes) {
			return ErrMessage
		}
		return nil
	})
	if err == nil && !s.Empty() {
		err = ErrMessage
	}
	if err != nil {
		return nil, err
	}
	if m.schemes == nil {
		return nil, ErrMissing
	}
	return m, nil
}

// marshalCertificate makes a Certificate message of a chain, which may be empty.
//
// Source: RFC 8446 4.4.2
func marshalCertificate(chain [][]byte) []byte {
	return marshal(messageCertificate, func(b *cryptobyte.Builder) {
		b.AddUint8(0)
		b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, der := range chain {
				b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(der) })
				b.AddUint16(0)
			}
		})
	})
}

// parseCertificate returns a copy of the chain. It may be empty, as a client's may be.
func parseCertificate(message []byte) ([][]byte, error) {
	s := body(message)
	var context, list cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&context) || !s.ReadUint24LengthPrefixed(&list) || !s.Empty() {
		return nil, ErrMessage
	}
	if !context.Empty() {
		return nil, ErrParameter
	}
	var chain [][]byte
	for !list.Empty() {
		var der cryptobyte.String
		if !list.ReadUint24LengthPrefixed(&der) || der.Empty() {
			return nil, ErrMessage
		}
		// Every extension here would be an answer, and none was asked for.
		if err := readExtensions(&list, refuseExtension); err != nil {
			return nil, err
		}
		if len(chain) == maxCertificates {
			return nil, ErrTooLarge
		}
		chain = append(chain, append([]byte(nil), der...))
	}
	return chain, nil
}

// certificateVerify proves that its sender holds the key of the leaf.
//
// Source: RFC 8446 4.4.3
type certificateVerify struct {
	scheme    Scheme
	signature []byte
}

func (m *certificateVerify) marshal() []byte {
	return marshal(messageCertificateVerify, func(b *cryptobyte.Builder) {
		b.AddUint16(uint16(m.scheme))
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(m.signature) })
	})
}

func parseCertificateVerify(message []byte) (*certificateVerify, error) {
	s := body(message)
	m := new(certificateVerify)
	var signature cryptobyte.String
	if !s.ReadUint16((*uint16)(&m.scheme)) || !s.ReadUint16LengthPrefixed(&signature) || !s.Empty() {
		return nil, ErrMessage
	}
	m.signature = signature
	return m, nil
}

// marshalFinished makes a Finished message.
//
// Source: RFC 8446 4.4.4
func marshalFinished(verifyData []byte) []byte {
	return marshal(messageFinished, func(b *cryptobyte.Builder) { b.AddBytes(verifyData) })
}

// marshalKeyUpdate makes a KeyUpdate message, which may request that the peer updates its keys too.
//
// Source: RFC 8446 4.6.3
func marshalKeyUpdate(request bool) []byte {
	return marshal(messageKeyUpdate, func(b *cryptobyte.Builder) {
		if request {
			b.AddUint8(1)
		} else {
			b.AddUint8(0)
		}
	})
}

func parseKeyUpdate(message []byte) (request bool, err error) {
	s := body(message)
	var value uint8
	if !s.ReadUint8(&value) || !s.Empty() {
		return false, ErrMessage
	}
	if value > 1 {
		return false, ErrParameter
	}
	return value == 1, nil
}
