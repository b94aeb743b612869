package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"sotto/services/smp/internal/client"
	"sotto/shared/identity"
	"sotto/shared/smp"
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

// explain says in plain words what err means.
func (p *prober) explain(err error) string {
	var dial *client.DialError
	switch {
	case errors.Is(err, smp.ErrAddress):
		return fmt.Sprintf("This is no relay address: %s. An address looks like smp://fingerprint@host or "+
			"smp://fingerprint:password@host.", printable(err.Error()))
	case errors.Is(err, client.ErrNoHost):
		return "The address has only .onion hosts. They are reached through Tor, which this test does not use: " +
			"give the address with a public host name or IP address."
	case errors.Is(err, context.Canceled):
		return "The test was stopped."
	case errors.As(err, &dial):
		switch dial.Stage {
		case client.StageConnect:
			return p.explainConnect(dial.Err)
		case client.StageTLS:
			return p.explainTLS(dial.Err)
		default:
			return p.explainHello(dial.Err)
		}
	default:
		return p.explainCommand(err)
	}
}

// explainConnect explains why there is no TCP connection.
func (p *prober) explainConnect(err error) string {
	host, port := p.splitHost()
	host = printable(host)
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
	case timedOut(err):
		return fmt.Sprintf("%s does not answer on port %s (waited %s). It is down, or a firewall drops the connection: "+
			"is the port open and forwarded to the relay?", host, port, duration(p.connect))
	}
	return fmt.Sprintf("No connection to %s, port %s: %s.", host, port, transport.Safe(err))
}

// explainTLS explains why there is no TLS connection.
func (p *prober) explainTLS(err error) string {
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
		return fmt.Sprintf("The relay and this test have no TLS parameters in common (%s). Relays with an Ed448 "+
			"certificate, as older ones have, cannot be tested here although apps can use them.", transport.Safe(err))
	case errors.As(err, &notTLS):
		return "What answers does not speak TLS: it is no relay, or the port is wrong."
	case timedOut(err):
		return fmt.Sprintf("The TLS handshake did not end (waited %s). Something accepts the connection and stays silent: "+
			"a proxy without a relay behind it, or an overloaded relay.", duration(p.connect))
	case broken(err):
		return "The connection was cut during the TLS handshake. What answers may not be a relay, or something in " +
			"between does not let it through."
	}
	return fmt.Sprintf("The TLS handshake failed: %s.", transport.Safe(err))
}

// explainHello explains why the hellos failed.
func (p *prober) explainHello(err error) string {
	switch {
	case errors.Is(err, client.ErrVersion):
		return fmt.Sprintf("The relay speaks none of the protocol versions %d to %d: it is too old or too new for this test.",
			smp.MinVersion, smp.MaxVersion)
	case errors.Is(err, client.ErrSession):
		return "The relay names another TLS session than this one: somebody is in between, or its session id is wrong."
	case errors.Is(err, client.ErrIdentity):
		return "The relay's hello is not signed by its certificate. Apps will not connect."
	case errors.Is(err, client.ErrMalformed):
		return "What answers is no relay: it speaks TLS, but not this protocol."
	case timedOut(err):
		return fmt.Sprintf("The relay says nothing after TLS (waited %s). Is it a relay, and not a web server?", duration(p.connect))
	case broken(err):
		return "The relay closed the connection instead of a hello. Is it a relay, and not a web server?"
	}
	return fmt.Sprintf("The hello failed: %s.", transport.Safe(err))
}

// explainCommand explains why a command failed.
func (p *prober) explainCommand(err error) string {
	var refusal smp.Error
	var lost *client.ConnError
	var response *client.ResponseError
	switch {
	case errors.Is(err, errRefused) && p.server.Password != nil:
		return "The relay refuses to create queues: the password in the address is wrong, or new queues are turned off."
	case errors.Is(err, errRefused):
		return "The relay refuses to create queues: it needs a password, which the address does not have " +
			"(smp://fingerprint:password@host), or new queues are turned off."
	case errors.Is(err, errMessage):
		return "The relay delivered another message than was sent."
	case errors.As(err, &refusal):
		return fmt.Sprintf("The relay refused this step with the error %s.", printable(refusal.Error()))
	case errors.As(err, &response):
		return "The relay gave an answer that does not fit the command: " + response.Error() + "."
	case errors.Is(err, client.ErrMalformed):
		return "The relay sent something that is not of this protocol."
	case errors.As(err, &lost):
		return fmt.Sprintf("The relay closed the connection (%s).", transport.Safe(lost.Err))
	case timedOut(err):
		return fmt.Sprintf("The relay did not answer (waited %s).", duration(p.command))
	}
	return fmt.Sprintf("The test could not go on: %s.", transport.Safe(err))
}

// timedOut reports whether err is the end of a context or of a deadline.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// broken reports whether the other side closed the connection.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE)
}
