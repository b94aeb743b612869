package probe

import (
	"context"
	"errors"
	"fmt"

	"sotto/services/smp/internal/client"
	"sotto/shared/report"
	"sotto/shared/smp"
	"sotto/shared/transport"
)

// Failure is a test that failed.
type Failure = report.Failure

// explain says in plain words what err means.
func (p *prober) explain(err error) string {
	var dial *client.DialError
	switch {
	case errors.Is(err, smp.ErrAddress):
		return fmt.Sprintf("This is no relay address: %s. An address looks like smp://fingerprint@host or "+
			"smp://fingerprint:password@host.", report.Printable(err.Error()))
	case errors.Is(err, client.ErrNoHost):
		return "The address has only .onion hosts. They are reached through Tor, which this test does not use: " +
			"give the address with a public host name or IP address."
	case errors.Is(err, context.Canceled):
		return "The test was stopped."
	case errors.As(err, &dial):
		switch dial.Stage {
		case client.StageConnect:
			return p.place().Connect(dial.Err)
		case client.StageTLS:
			return p.place().TLS(dial.Err)
		default:
			return p.explainHello(dial.Err)
		}
	default:
		return p.explainCommand(err)
	}
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
	case report.TimedOut(err):
		return fmt.Sprintf("The relay says nothing after TLS (waited %s). Is it a relay, and not a web server?", report.Duration(p.connect))
	case report.Broken(err):
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
		return fmt.Sprintf("The relay refused this step with the error %s.", report.Printable(refusal.Error()))
	case errors.As(err, &response):
		return "The relay gave an answer that does not fit the command: " + response.Error() + "."
	case errors.Is(err, client.ErrMalformed):
		return "The relay sent something that is not of this protocol."
	case errors.As(err, &lost):
		return fmt.Sprintf("The relay closed the connection (%s).", transport.Safe(lost.Err))
	case report.TimedOut(err):
		return fmt.Sprintf("The relay did not answer (waited %s).", report.Duration(p.command))
	}
	return fmt.Sprintf("The test could not go on: %s.", transport.Safe(err))
}
