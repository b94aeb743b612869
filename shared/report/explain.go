package report

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"sotto/shared/identity"
	"sotto/shared/transport"
)

// Failure is a test that failed.
type Failure struct {
	// Reason is one or two sentences for a person. It names the host that was tested, and no keys or ids.
	Reason string
	Err    error
}

// Error returns the reason.
func (f *Failure) Error() string { return f.Reason }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Place is where a relay was looked for.
type Place struct {
	Host, Port string
	Waited     time.Duration // at most, for a connection
}

// Connect explains why there is no TCP connection.
func (p Place) Connect(err error) string {
	host, port := Printable(p.Host), Printable(p.Port)
	var dns *net.DNSError
	switch {
	case errors.Is(err, identity.ErrUnknownCA):
		return "The fingerprint in the address is incomplete: it must have 32 bytes, that is 43 or 44 characters."
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Sprintf("There is no host named %s in DNS. Check the spelling; a new name may need some time.", host)
	case errors.As(err, &dns):
		return fmt.Sprintf("The name %s could not be looked up: DNS does not answer. Is this computer online?", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s refuses connections on port %s. The relay is not running, or listens on another port.", host, port)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Sprintf("There is no way to %s from this network.", host)
	case TimedOut(err):
		return fmt.Sprintf("%s does not answer on port %s (waited %s). It is down, or a firewall drops the connection: "+
			"is the port open and forwarded to the relay?", host, port, Duration(p.Waited))
	}
	return fmt.Sprintf("No connection to %s, port %s: %s.", host, port, transport.Safe(err))
}

// TLS explains why there is no TLS connection.
func (p Place) TLS(err error) string {
	var notTLS tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.Is(err, identity.ErrUnknownCA):
		return "The relay has another identity than the address says: the fingerprint is wrong, the relay was set up " +
			"anew, or somebody is in between. Apps with this address will not connect."
	case errors.Is(err, identity.ErrDates):
		return "The relay's certificate is expired or not yet valid. Is the clock of this computer right?"
	case errors.Is(err, identity.ErrChainLength), errors.Is(err, identity.ErrCertificate), errors.Is(err, identity.ErrVersion):
		return "What answers shows certificates that are no relay's. Is it a web server, or is the port wrong?"
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Sprintf("The relay and this program have no TLS parameters in common (%s). Relays with an Ed448 "+
			"certificate, as older ones have, cannot be used here although apps can.", transport.Safe(err))
	case errors.As(err, &notTLS):
		return "What answers does not speak TLS: it is no relay, or the port is wrong."
	case TimedOut(err):
		return fmt.Sprintf("The TLS handshake did not end (waited %s). Something accepts the connection and stays silent: "+
			"a proxy without a relay behind it, or an overloaded relay.", Duration(p.Waited))
	case Broken(err):
		return "The connection was cut during the TLS handshake. What answers may not be a relay, or something in " +
			"between does not let it through."
	}
	return fmt.Sprintf("The TLS handshake failed: %s.", transport.Safe(err))
}

// TimedOut reports whether err is the end of a context or of a deadline.
func TimedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// Broken reports whether the other side closed the connection.
func Broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
