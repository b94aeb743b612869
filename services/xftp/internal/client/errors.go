package client

//lint:file-ignore SA1019 net/http speaks HTTP/2 only where ALPN says h2; here it is spoken whatever ALPN says. Spec: xftp.md 3.3

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/net/http2"

	"sotto/shared/transport"
)

// Reasons for which a relay is not connected to, or no longer. Test for them with [errors.Is].
var (
	// ErrClosed: the client was closed by its owner, or after a request that left the connection unusable.
	ErrClosed = errors.New("xftp client: closed")
	// ErrNoHost: the address has only onion hosts, which need a proxy that this client does not have.
	ErrNoHost = errors.New("xftp client: address has no host that can be reached without Tor")
	// ErrALPN: the relay chose no protocol where one was offered. Spec: xftp.md 3.3
	ErrALPN = errors.New("xftp client: relay does not take the protocol offered")
	// ErrVersion: relay and client have no protocol version in common. Spec: xftp.md 5.3
	ErrVersion = errors.New("xftp client: no common protocol version")
	// ErrSession: the hello has another session id than TLS: somebody is in the middle. Spec: xftp.md 5.3
	ErrSession = errors.New("xftp client: session id of the hello is not that of TLS")
	// ErrIdentity: the hello's chain, proof or signed key is not of the identity in the address. Spec: xftp.md 5.3
	ErrIdentity = errors.New("xftp client: hello is not signed by the relay")
	// ErrRefused: the relay answered the handshake with an error. Spec: xftp.md 5.2
	ErrRefused = errors.New("xftp client: relay refuses the handshake")
	// ErrMalformed: the relay sent what cannot be read: a hello, a block, a transmission or more than was asked for.
	ErrMalformed = errors.New("xftp client: malformed data from the relay")
	// ErrTimeout: the relay did not answer, or a transfer did not move, for longer than [Options] allow. It is also a
	// [context.DeadlineExceeded].
	ErrTimeout error = &timeoutError{}
)

// Errors of a downloaded chunk. What was written until then is worthless. Spec: xftp.md 8.8
var (
	// ErrSize: the body is shorter or longer than the chunk.
	ErrSize = errors.New("xftp client: body has the wrong size")
	// ErrTag: the body was changed on its way, or encrypted with another key.
	ErrTag = errors.New("xftp client: body is not authentic")
	// ErrDigest: the body is not the one of the description.
	ErrDigest = errors.New("xftp client: body has another digest")
)

// Errors of a request that was not sent.
var (
	// ErrTooLarge: the command does not fit its block. Spec: xftp.md 6
	ErrTooLarge = errors.New("xftp client: too large for a block")
	// ErrSource: the reader of an upload ended too early or failed.
	ErrSource = errors.New("xftp client: the bytes to upload cannot be read")
)

type timeoutError struct{}

func (*timeoutError) Error() string { return "xftp client: relay did not answer in time" }

// Unwrap lets callers treat it as any other timeout.
func (*timeoutError) Unwrap() error { return context.DeadlineExceeded }

// Stage is a step of dialling.
type Stage uint8

// The steps of [Dial], in their order.
const (
	StageConnect Stage = iota // name lookup and TCP
	StageTLS                  // TLS with the check of the relay's certificates
	StageHello                // HTTP/2 and the two requests of the handshake
)

// String names the step for people.
func (s Stage) String() string {
	switch s {
	case StageConnect:
		return "connect"
	case StageTLS:
		return "TLS"
	default:
		return "handshake"
	}
}

// DialError is a failure to connect, with the step that failed. Its text has no addresses; the wrapped error may.
type DialError struct {
	Stage Stage
	Err   error
}

// Error names the step and the kind of failure.
func (e *DialError) Error() string { return "xftp client: " + e.Stage.String() + ": " + Safe(e.Err) }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// ConnError is what calls return when their connection ended, whatever the cause, before they were answered. It is
// not known then whether the relay executed the command. What the relay itself answers is an [xftp.Error] instead.
type ConnError struct {
	Err error
}

// Error names the kind of failure, without addresses.
func (e *ConnError) Error() string { return "xftp client: connection lost: " + Safe(e.Err) }

// Unwrap returns the cause: [ErrClosed], [ErrMalformed], [ErrTimeout] or an I/O error.
func (e *ConnError) Unwrap() error { return e.Err }

// ResponseError is an answer that does not fit its command: unreadable, of another kind, or for another entity. The
// connection is closed after it.
type ResponseError struct {
	// Tag of an answer of the wrong kind, empty when it could not be read or is for another entity.
	Tag string
	Err error
}

// Error describes the answer without its contents.
func (e *ResponseError) Error() string {
	switch {
	case e.Tag != "":
		return "xftp client: unexpected response " + e.Tag
	case e.Err != nil:
		return "xftp client: unreadable response: " + e.Err.Error()
	default:
		return "xftp client: response for another entity"
	}
}

// Unwrap returns the cause, if there is one.
func (e *ResponseError) Unwrap() error { return e.Err }

// own are the errors whose text names no address.
var own = []error{
	ErrClosed, ErrNoHost, ErrALPN, ErrVersion, ErrSession, ErrIdentity, ErrRefused, ErrMalformed, ErrTimeout, ErrSize,
	ErrTag, ErrDigest, ErrTooLarge, ErrSource,
}

// Safe describes err without addresses. HTTP/2 errors have codes, and text of the peer's, which is left out.
func Safe(err error) string {
	for _, e := range own {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	if away, ok := errors.AsType[http2.GoAwayError](err); ok {
		return fmt.Sprintf("ended by peer (%v)", away.ErrCode)
	}
	if reset, ok := errors.AsType[http2.StreamError](err); ok {
		return fmt.Sprintf("request reset (%v)", reset.Code)
	}
	if broken, ok := errors.AsType[http2.ConnectionError](err); ok {
		return fmt.Sprintf("malformed HTTP/2 (%v)", http2.ErrCode(broken))
	}
	return transport.Safe(err)
}
