package probe

import (
	"context"
	"errors"
	"fmt"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/report"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// explain says in plain words what err means.
func (p *prober) explain(err error) string {
	var dial *client.DialError
	switch {
	case errors.Is(err, address.ErrAddress):
		return fmt.Sprintf("This is no relay address: %s. An address looks like xftp://fingerprint@host or "+
			"xftp://fingerprint:password@host.", report.Printable(err.Error()))
	case errors.Is(err, client.ErrNoHost):
		return "The address has only .onion hosts. They are reached through Tor, which this test does not use: " +
			"give the address with a public host name or IP address."
	case errors.Is(err, context.Canceled):
		return "The test was stopped."
	case errors.As(err, &dial):
		switch {
		case dial.Stage == client.StageConnect:
			return p.place().Connect(dial.Err)
		case dial.Stage == client.StageHello:
			return p.explainHandshake(dial.Err)
		case errors.Is(err, client.ErrALPN), transport.Safe(dial.Err) == noProtocol:
			return "The relay does not take the protocol xftp/1. Is it a relay for messages, or a web server?"
		}
		return p.place().TLS(dial.Err)
	default:
		return p.explainCommand(err)
	}
}

// noProtocol is how [transport.Safe] describes the alert of a server that does not take the protocol offered.
const noProtocol = "alert from peer: tls: no application protocol"

// explainHandshake explains why what comes after TLS failed.
func (p *prober) explainHandshake(err error) string {
	switch {
	case errors.Is(err, client.ErrVersion):
		return fmt.Sprintf("The relay speaks none of the protocol versions %d to %d: it is too old or too new for this test.",
			xftp.Versions.Min, xftp.Versions.Max)
	case errors.Is(err, client.ErrSession):
		return "The relay names another TLS session than this one: somebody is in between, or its session id is wrong."
	case errors.Is(err, client.ErrIdentity):
		return "The relay's hello is not signed by its certificate. Apps will not connect."
	case errors.Is(err, client.ErrRefused):
		return "The relay refuses the handshake. Apps will not connect."
	case errors.Is(err, client.ErrMalformed):
		return "What answers is no relay: it speaks TLS and HTTP/2, but not this protocol."
	case report.TimedOut(err):
		return fmt.Sprintf("The relay says nothing after TLS (waited %s). Is it a relay, and not a web server?",
			report.Duration(min(p.options.ConnectTimeout, p.options.RequestTimeout)))
	case report.Broken(err):
		return "The relay closed the connection instead of a hello. Is it a relay, and not a web server?"
	}
	return fmt.Sprintf("The handshake failed: %s.", client.Safe(err))
}

// refusals explain errors that the operator of a relay can do something about. Spec: xftp.md 9.1
var refusals = map[xftp.Error]string{
	xftp.ErrQuota:    "The relay's storage is full (QUOTA): it has to be given more room, or chunks have to expire.",
	xftp.ErrSize:     "The relay does not take chunks of this size (SIZE), which apps use.",
	xftp.ErrDigest:   "What reached the relay is not what was sent (DIGEST).",
	xftp.ErrTimeout:  "The upload took longer than the relay allows (TIMEOUT): the line is too slow, or the relay is overloaded.",
	xftp.ErrFileIO:   "The relay cannot store files (FILE_IO): its disk or database has a problem.",
	xftp.ErrInternal: "Something inside the relay failed (INTERNAL): its log says what.",
}

// explainCommand explains why a command failed.
func (p *prober) explainCommand(err error) string {
	var refusal xftp.Error
	var lost *client.ConnError
	var response *client.ResponseError
	switch {
	case errors.Is(err, errRefused) && p.server.Password != nil:
		return "The relay refuses new files: the password in the address is wrong, or new files are turned off."
	case errors.Is(err, errRefused):
		return "The relay refuses new files: it needs a password, which the address does not have " +
			"(xftp://fingerprint:password@host), or new files are turned off."
	case errors.Is(err, errBody), errors.Is(err, client.ErrDigest):
		return "The relay gave back other bytes than were sent."
	case errors.Is(err, client.ErrSize):
		return "The relay gave back more or fewer bytes than were sent."
	case errors.Is(err, client.ErrTag):
		return "What the relay gave back does not decrypt."
	case errors.As(err, &refusal):
		if text, ok := refusals[refusal]; ok {
			return text
		}
		return fmt.Sprintf("The relay refused this step with the error %s.", report.Printable(refusal.Error()))
	case errors.As(err, &response):
		return "The relay gave an answer that does not fit the command: " + response.Error() + "."
	case report.TimedOut(err):
		return fmt.Sprintf("The relay did not answer (waited %s).", report.Duration(p.options.RequestTimeout))
	case errors.As(err, &lost):
		return fmt.Sprintf("The relay closed the connection (%s).", client.Safe(lost.Err))
	}
	return fmt.Sprintf("The test could not go on: %s.", client.Safe(err))
}
