package smp

import (
	"bytes"

	"sotto/shared/wire"
)

// ProxyError is an error of a proxy itself.
//
// Spec: smp.md 7.3
type ProxyError string

// Errors of a proxy, with their wire form.
const (
	ProxyBasicAuth ProxyError = "PROXY BASIC_AUTH" // proxying is off, or the password is wrong
	ProxyNoSession ProxyError = "PROXY NO_SESSION" // no connection to a relay with this session id
)

// Error returns the wire form.
func (e ProxyError) Error() string { return string(e) }

// AppendError appends the wire form.
func (e ProxyError) AppendError(dst []byte, _ wire.Version) []byte { return append(dst, e...) }

// ProtocolError is what a proxy answers when the relay answered Err.
//
// Spec: smp.md 7.3
type ProtocolError struct{ Err Error }

// Error returns the wire form.
func (e ProtocolError) Error() string { return "PROXY PROTOCOL " + e.Err.Error() }

// AppendError appends the wire form, with Err as version v spells it.
func (e ProtocolError) AppendError(dst []byte, v wire.Version) []byte {
	return e.Err.AppendError(append(dst, "PROXY PROTOCOL "...), v)
}

// BrokerError is what a proxy answers when it could not talk to the relay.
//
// Spec: smp.md 7.3
type BrokerError string

// Errors of a proxy about the relay, with their wire form.
const (
	BrokerNetwork   BrokerError = "PROXY BROKER NETWORK"
	BrokerHost      BrokerError = "PROXY BROKER HOST"
	BrokerNoService BrokerError = "PROXY BROKER NO_SERVICE"
	BrokerTimeout   BrokerError = "PROXY BROKER TIMEOUT"
)

// Error returns the wire form.
func (e BrokerError) Error() string { return string(e) }

// AppendError appends the wire form.
func (e BrokerError) AppendError(dst []byte, _ wire.Version) []byte { return append(dst, e...) }

// BrokerResponse is what a proxy answers when it cannot parse the relay's response. Text has at most 255 bytes; more
// are cut off.
//
// Spec: smp.md 7.3
type BrokerResponse struct{ Text string }

// Error returns the wire form without the length of the text.
func (e BrokerResponse) Error() string { return "PROXY BROKER RESPONSE " + e.Text }

// AppendError appends the wire form.
func (e BrokerResponse) AppendError(dst []byte, _ wire.Version) []byte {
	return appendText(append(dst, "PROXY BROKER RESPONSE "...), e.Text)
}

// BrokerUnexpected is what a proxy answers when the relay's response is none that belongs to RFWD. Text has at most
// 255 bytes; more are cut off.
//
// Spec: smp.md 7.3
type BrokerUnexpected struct{ Text string }

// Error returns the wire form without the length of the text.
func (e BrokerUnexpected) Error() string { return "PROXY BROKER UNEXPECTED " + e.Text }

// AppendError appends the wire form.
func (e BrokerUnexpected) AppendError(dst []byte, _ wire.Version) []byte {
	return appendText(append(dst, "PROXY BROKER UNEXPECTED "...), e.Text)
}

// BrokerTransport is what a proxy answers when the handshake with the relay failed after TLS.
//
// Spec: smp.md 7.3
type BrokerTransport struct{ Err TransportError }

// Error returns the wire form.
func (e BrokerTransport) Error() string { return "PROXY BROKER TRANSPORT " + string(e.Err) }

// AppendError appends the wire form.
func (e BrokerTransport) AppendError(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "PROXY BROKER TRANSPORT "...), e.Err...)
}

// TransportError is a failure of the transport or the handshake. It is sent inside other errors and in
// [ServiceResponse].
//
// Spec: smp.md 7.4
type TransportError string

// Transport errors, with their wire form. The last four are those of the handshake.
const (
	TransportBlock      TransportError = "BLOCK"
	TransportVersion    TransportError = "VERSION"
	TransportLargeMsg   TransportError = "LARGE_MSG"
	TransportSession    TransportError = "SESSION"
	TransportNoAuth     TransportError = "NO_AUTH"
	HandshakeParse      TransportError = "HANDSHAKE PARSE"
	HandshakeIdentity   TransportError = "HANDSHAKE IDENTITY"
	HandshakeBadAuth    TransportError = "HANDSHAKE BAD_AUTH"
	HandshakeBadService TransportError = "HANDSHAKE BAD_SERVICE"
)

// Error returns the wire form.
func (e TransportError) Error() string { return string(e) }

// ParseTransportError parses a complete transport error. The error it returns is [wire.ErrSyntax].
//
// Spec: smp.md 7.4
func ParseTransportError(b []byte) (TransportError, error) {
	switch e := TransportError(b); e {
	case TransportBlock, TransportVersion, TransportLargeMsg, TransportSession, TransportNoAuth,
		HandshakeParse, HandshakeIdentity, HandshakeBadAuth, HandshakeBadService:
		return e, nil
	}
	return "", wire.ErrSyntax
}

// NetworkError is why a connection to a relay failed. Of all of it only [BrokerNetwork] is sent; parsers accept the
// rest for what may come.
//
// Spec: smp.md 7.3
type NetworkError struct {
	Kind NetworkErrorKind
	Text string // at most 255 bytes; only with NetworkConnect, NetworkTLS and NetworkSubscribe
}

// NetworkErrorKind is the first word of a [NetworkError].
type NetworkErrorKind string

// Kinds of network errors, with their wire form.
const (
	NetworkConnect   NetworkErrorKind = "CONNECT"
	NetworkTLS       NetworkErrorKind = "TLS"
	NetworkUnknownCA NetworkErrorKind = "UNKNOWNCA"
	NetworkFailed    NetworkErrorKind = "FAILED"
	NetworkTimeout   NetworkErrorKind = "TIMEOUT"
	NetworkSubscribe NetworkErrorKind = "SUBSCRIBE"
)

// hasText reports whether a text follows the kind.
func (k NetworkErrorKind) hasText() bool {
	return k == NetworkConnect || k == NetworkTLS || k == NetworkSubscribe
}

// Error returns the wire form of [BrokerNetwork], without the detail.
func (NetworkError) Error() string { return string(BrokerNetwork) }

// AppendError appends the wire form of [BrokerNetwork], without the detail.
//
// Spec: smp.md 7.3
func (NetworkError) AppendError(dst []byte, v wire.Version) []byte {
	return BrokerNetwork.AppendError(dst, v)
}

// AppendDetail appends the network error alone.
//
// Spec: smp.md 7.3
func (e NetworkError) AppendDetail(dst []byte) []byte {
	dst = append(dst, e.Kind...)
	if e.Kind.hasText() {
		dst = appendText(append(dst, ' '), e.Text)
	}
	return dst
}

// ParseNetworkError parses a complete network error alone. The error it returns is [wire.ErrSyntax].
//
// Spec: smp.md 7.3
func ParseNetworkError(b []byte) (NetworkError, error) {
	word, rest, ok := bytes.Cut(b, space)
	kind := NetworkErrorKind(word)
	switch kind {
	case NetworkConnect, NetworkTLS, NetworkSubscribe:
		text, err := parseText(rest)
		if !ok || err != nil {
			return NetworkError{}, wire.ErrSyntax
		}
		return NetworkError{Kind: kind, Text: text}, nil
	case NetworkUnknownCA, NetworkFailed, NetworkTimeout:
		if !ok {
			return NetworkError{Kind: kind}, nil
		}
	}
	return NetworkError{}, wire.ErrSyntax
}

// parseProxyError parses what follows "PROXY ".
//
// Spec: smp.md 7.3
func parseProxyError(b []byte) (Error, error) {
	word, detail, ok := bytes.Cut(b, space)
	switch {
	case string(b) == "BASIC_AUTH":
		return ProxyBasicAuth, nil
	case string(b) == "NO_SESSION":
		return ProxyNoSession, nil
	case ok && string(word) == "PROTOCOL":
		e, err := ParseError(detail)
		if err != nil {
			return nil, err
		}
		return ProtocolError{Err: e}, nil
	case ok && string(word) == "BROKER":
		return parseBrokerError(detail)
	}
	return nil, wire.ErrSyntax
}

// parseBrokerError parses what follows "PROXY BROKER ".
//
// Spec: smp.md 7.3
func parseBrokerError(b []byte) (Error, error) {
	word, detail, ok := bytes.Cut(b, space)
	if !ok {
		switch e := BrokerError("PROXY BROKER " + string(word)); e {
		case BrokerNetwork, BrokerHost, BrokerNoService, BrokerTimeout:
			return e, nil
		}
		return nil, wire.ErrSyntax
	}
	switch string(word) {
	case "RESPONSE":
		text, err := parseText(detail)
		return orNil(BrokerResponse{Text: text}, err)
	case "UNEXPECTED":
		text, err := parseText(detail)
		return orNil(BrokerUnexpected{Text: text}, err)
	case "TRANSPORT":
		e, err := ParseTransportError(detail)
		return orNil(BrokerTransport{Err: e}, err)
	case "NETWORK":
		e, err := ParseNetworkError(detail)
		return orNil(e, err)
	}
	return nil, wire.ErrSyntax
}

// orNil returns e, or nil and err if there is one.
func orNil(e Error, err error) (Error, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// appendText appends a text as a short string, cut to what that can hold.
func appendText(dst []byte, text string) []byte {
	text = text[:min(len(text), maxStr)]
	return append(append(dst, byte(len(text))), text...)
}

// parseText parses a short string that fills b.
func parseText(b []byte) (string, error) {
	r := wire.NewReader(b)
	text := string(r.Str())
	return text, r.Done()
}
