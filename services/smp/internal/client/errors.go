package client

import (
	"errors"

	"sotto/shared/transport"
)

// Reasons for which a relay is not connected to, or no longer. Test for them with [errors.Is].
var (
	// ErrClosed: the client was closed by its owner.
	ErrClosed = errors.New("smp client: closed")
	// ErrNoHost: the address has only onion hosts, which need a proxy that this client does not have.
	ErrNoHost = errors.New("smp client: address has no host that can be reached without Tor")
	// ErrVersion: relay and client have no protocol version in common. Spec: smp.md 4.1
	ErrVersion = errors.New("smp client: no common protocol version")
	// ErrSession: the hello has another session id than TLS: somebody is in the middle. Spec: smp.md 4.1
	ErrSession = errors.New("smp client: session id of the hello is not that of TLS")
	// ErrIdentity: the hello's chain or signed key is not of the identity in the address. Spec: smp.md 4.1
	ErrIdentity = errors.New("smp client: session key is not signed by the relay")
	// ErrMalformed: the relay sent what cannot be read: a hello, a block or a transmission.
	ErrMalformed = errors.New("smp client: malformed data from the relay")
	// ErrSlowConsumer: nobody took events for [Options.EventPatience] while their buffer was full.
	ErrSlowConsumer = errors.New("smp client: events are not taken")
)

// Errors of a request that was not sent.
var (
	// ErrTooLarge: the transmissions do not fit one block. Spec: smp.md 5.2
	ErrTooLarge = errors.New("smp client: too large for a block")
	// ErrCorrID: a correlation id does not have 24 bytes, or is in use.
	ErrCorrID = errors.New("smp client: unusable correlation id")
)

// Stage is a step of dialling.
type Stage uint8

// The steps of [Dial], in their order.
const (
	StageConnect Stage = iota // name lookup and TCP
	StageTLS                  // TLS with the check of the relay's certificates
	StageHello                // the two hello blocks
)

// String names the step for people.
func (s Stage) String() string {
	switch s {
	case StageConnect:
		return "connect"
	case StageTLS:
		return "TLS"
	default:
		return "hello"
	}
}

// DialError is a failure to connect, with the step that failed. Its text has no addresses; the wrapped error may.
type DialError struct {
	Stage Stage
	Err   error
}

// Error names the step and the kind of failure.
func (e *DialError) Error() string { return "smp client: " + e.Stage.String() + ": " + safe(e.Err) }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// ConnError is what calls return when their connection ended, whatever the cause, before they were answered. It is
// not known then whether the relay executed the command. What the relay itself answers is an [smp.Error] instead.
type ConnError struct {
	Err error
}

// Error names the kind of failure, without addresses.
func (e *ConnError) Error() string { return "smp client: connection lost: " + safe(e.Err) }

// Unwrap returns the cause: [ErrClosed], [ErrMalformed], [ErrSlowConsumer] or an I/O error.
func (e *ConnError) Unwrap() error { return e.Err }

// ResponseError is an answer that does not fit its command: unreadable, of another kind, or for another entity. The
// connection stays usable.
type ResponseError struct {
	// Tag of an answer of the wrong kind, empty when it could not be read or is for another entity.
	Tag string
	Err error
}

// Error describes the answer without its contents.
func (e *ResponseError) Error() string {
	switch {
	case e.Tag != "":
		return "smp client: unexpected response " + e.Tag
	case e.Err != nil:
		return "smp client: unreadable response: " + e.Err.Error()
	default:
		return "smp client: response for another entity"
	}
}

// Unwrap returns the cause, if there is one.
func (e *ResponseError) Unwrap() error { return e.Err }

// own are the errors whose text names no address.
var own = []error{ErrClosed, ErrNoHost, ErrVersion, ErrSession, ErrIdentity, ErrMalformed, ErrSlowConsumer}

// safe describes err without addresses.
func safe(err error) string {
	for _, e := range own {
		if errors.Is(err, e) {
			return e.Error()
		}
	}
	return transport.Safe(err)
}
