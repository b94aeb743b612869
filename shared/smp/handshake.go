package smp

import (
	"bytes"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// ServerHello is the first block of a connection, sent by the relay.
//
// Spec: smp.md 4.1
type ServerHello struct {
	Versions  wire.VersionRange
	SessionID wire.EntityID
	// Chain holds the certificates of the TLS handshake in DER, leaf first, 1 to 255 of them; SignedKey is the
	// relay's X25519 session key, signed with the key of the leaf. Both are nil when Versions.Max is below 7.
	Chain     [][]byte
	SignedKey []byte
}

// AppendTo appends the content of the block, to be padded. Chain and SignedKey are left out when Versions.Max is
// below 7.
//
// Spec: smp.md 4.1
func (h ServerHello) AppendTo(dst []byte) []byte {
	dst = wire.AppendVersionRange(dst, h.Versions)
	dst = wire.AppendStr(dst, h.SessionID)
	if h.Versions.Max >= VersionAuth {
		dst = appendChainAndKey(dst, h.Chain, h.SignedKey)
	}
	return dst
}

// ParseServerHello parses the content of the block. Bytes after it are ignored. The error is [wire.ErrSyntax].
//
// Spec: smp.md 4.1
func ParseServerHello(b []byte) (ServerHello, error) {
	r := wire.NewReader(b)
	h := ServerHello{Versions: r.VersionRange(), SessionID: r.Str()}
	if h.Versions.Max >= VersionAuth {
		h.Chain, h.SignedKey = readChainAndKey(&r)
	}
	if err := r.Err(); err != nil {
		return ServerHello{}, err
	}
	return h, nil
}

// ClientHello is the client's first block.
//
// Spec: smp.md 4.2
type ClientHello struct {
	Version     wire.Version
	KeyHash     []byte         // fingerprint of the relay's identity certificate
	Key         key.Public     // X25519; zero when absent, and always zero below version 7
	ProxyServer bool           // the client is a proxy; always false below version 14
	Service     *ClientService // nil when absent, and always nil below version 16
}

// ServiceRole is what a service connection is for.
//
// Spec: smp.md 4.2
type ServiceRole byte

// Service roles, with their wire bytes.
const (
	RoleMessaging ServiceRole = 'M'
	RoleNotifier  ServiceRole = 'N'
	RoleProxy     ServiceRole = 'P'
)

// ClientService is the part of a client hello that makes it a service connection.
//
// Spec: smp.md 4.2
type ClientService struct {
	Role      ServiceRole
	Chain     [][]byte // certificates in DER, leaf first; 1 to 255
	SignedKey []byte   // Ed25519 service session key, signed with the key of the leaf
}

// AppendTo appends the content of the block, to be padded. What Version does not have is left out.
//
// Spec: smp.md 4.2
func (h ClientHello) AppendTo(dst []byte) []byte {
	dst = wire.AppendVersion(dst, h.Version)
	dst = wire.AppendStr(dst, h.KeyHash)
	if h.Version >= VersionAuth && !h.Key.IsZero() {
		dst = h.Key.AppendWire(dst)
	}
	if h.Version >= VersionProxyFlag {
		dst = wire.AppendBool(dst, h.ProxyServer)
	}
	if h.Version < VersionService {
		return dst
	}
	dst = wire.AppendMaybe(dst, h.Service != nil)
	if h.Service != nil {
		dst = append(dst, byte(h.Service.Role))
		dst = appendChainAndKey(dst, h.Service.Chain, h.Service.SignedKey)
	}
	return dst
}

// ParseClientHello parses the content of the block. Bytes after it are ignored. The error is [wire.ErrSyntax].
//
// Spec: smp.md 4.2
func ParseClientHello(b []byte) (ClientHello, error) {
	r := wire.NewReader(b)
	h := ClientHello{Version: r.Version(), KeyHash: r.Str()}
	if h.Version >= VersionAuth {
		h.Key = readOptionalKey(&r)
	}
	if h.Version >= VersionProxyFlag {
		h.ProxyServer = r.Bool()
	}
	if h.Version >= VersionService && r.Maybe() {
		h.Service = readClientService(&r)
	}
	if err := r.Err(); err != nil {
		return ClientHello{}, err
	}
	return h, nil
}

// readOptionalKey reads a key that has no marker of presence: what is no X25519 key is the next field.
//
// Spec: smp.md 4.2
func readOptionalKey(r *wire.Reader) key.Public {
	if r.Failed() {
		return key.Public{}
	}
	mark := r.Mark()
	k := key.ReadDH(r)
	if r.Failed() {
		r.Reset(mark)
	}
	return k
}

func readClientService(r *wire.Reader) *ClientService {
	s := &ClientService{Role: ServiceRole(r.Byte())}
	switch s.Role {
	case RoleMessaging, RoleNotifier, RoleProxy:
	default:
		r.Fail()
	}
	s.Chain, s.SignedKey = readChainAndKey(r)
	return s
}

// ServiceResponse is the relay's answer to a client hello with a service: an id, or an error after which the relay
// closes the connection.
//
// Spec: smp.md 4.5
type ServiceResponse struct {
	ServiceID wire.EntityID
	Err       TransportError // empty: accepted
}

// AppendTo appends the content of the block, to be padded.
//
// Spec: smp.md 4.5
func (s ServiceResponse) AppendTo(dst []byte) []byte {
	if s.Err != "" {
		return append(append(dst, 'E'), s.Err...)
	}
	return wire.AppendStr(append(dst, 'R'), s.ServiceID)
}

// ParseServiceResponse parses the content of the block. Bytes after it are ignored; after an error they must begin
// with a space. The error is [wire.ErrSyntax].
//
// Spec: smp.md 4.5
func ParseServiceResponse(b []byte) (ServiceResponse, error) {
	r := wire.NewReader(b)
	switch r.Byte() {
	case 'R':
		if id := r.Str(); !r.Failed() {
			return ServiceResponse{ServiceID: id}, nil
		}
	case 'E':
		if e, err := ParseTransportError(firstWords(r.Tail())); err == nil {
			return ServiceResponse{Err: e}, nil
		}
	}
	return ServiceResponse{}, wire.ErrSyntax
}

// firstWords returns the one word of b that makes a transport error, or two for an error of the handshake.
func firstWords(b []byte) []byte {
	word, rest, _ := bytes.Cut(b, space)
	if string(word) != "HANDSHAKE" {
		return word
	}
	second, _, _ := bytes.Cut(rest, space)
	return b[:min(len(b), len(word)+len(space)+len(second))]
}

// appendChainAndKey appends a certificate chain and the key signed by its leaf.
//
// Spec: smp.md 4.1
func appendChainAndKey(dst []byte, chain [][]byte, signedKey []byte) []byte {
	dst = wire.AppendCount(dst, len(chain))
	for _, cert := range chain {
		dst = wire.AppendLarge(dst, cert)
	}
	return wire.AppendLarge(dst, signedKey)
}

// readChainAndKey reads what appendChainAndKey appends. How many certificates are allowed is judged by those who
// verify the chain.
//
// Spec: smp.md 4.1
func readChainAndKey(r *wire.Reader) (chain [][]byte, signedKey []byte) {
	for range r.NonEmptyCount() {
		chain = append(chain, r.Large())
		if r.Failed() {
			return nil, nil
		}
	}
	return chain, r.Large()
}
