// Package explain says in plain words what a relay for files could not be used for, to the person at a terminal who can
// do something about it. It names the relay's host, and no keys or ids.
package explain

import (
	"errors"
	"fmt"
	"net"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/report"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// Relay is a relay that was used, and how long it was waited for at most.
type Relay struct {
	Server          address.Server
	Connect, Answer time.Duration // 0: the defaults of package client
}

// New returns a relay that was used with these options.
func New(server address.Server, o client.Options) Relay {
	r := Relay{Server: server, Connect: o.ConnectTimeout, Answer: o.RequestTimeout}
	if r.Connect <= 0 {
		r.Connect = client.DefaultConnectTimeout
	}
	if r.Answer <= 0 {
		r.Answer = client.DefaultRequestTimeout
	}
	return r
}

// Host is the relay's host and port, for people.
func (r Relay) Host() string {
	host, err := client.Address(r.Server)
	if err != nil {
		return "the relay"
	}
	return report.Printable(host)
}

// Error says why something failed with err at the relay. Package client or the relay itself made err.
func (r Relay) Error(err error) string {
	dial, ok := errors.AsType[*client.DialError](err)
	switch {
	case errors.Is(err, client.ErrNoHost):
		return "The address has only .onion hosts. They are reached through Tor, which this program does not use: " +
			"take an address with a public host name or IP address."
	case !ok:
		return r.command(err)
	case dial.Stage == client.StageConnect:
		return r.place().Connect(dial.Err)
	case dial.Stage == client.StageHello:
		return r.handshake(dial.Err)
	case errors.Is(err, client.ErrALPN), transport.Safe(dial.Err) == noProtocol:
		return "The relay does not take the protocol xftp/1. Is it a relay for messages, or a web server?"
	}
	return r.place().TLS(dial.Err)
}

// noProtocol is how [transport.Safe] describes the alert of a server that does not take the protocol offered.
const noProtocol = "alert from peer: tls: no application protocol"

// place is where the relay is, for sentences.
func (r Relay) place() report.Place {
	p := report.Place{Port: r.Server.Port, Waited: r.Connect}
	if p.Port == "" {
		p.Port = address.XFTP.DefaultPort()
	}
	if at, err := client.Address(r.Server); err == nil {
		p.Host, _, _ = net.SplitHostPort(at)
	}
	return p
}

// handshake explains why what comes after TLS failed.
func (r Relay) handshake(err error) string {
	switch {
	case errors.Is(err, client.ErrVersion):
		return fmt.Sprintf("The relay speaks none of the protocol versions %d to %d: it is too old or too new for this program.",
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
			report.Duration(min(r.Connect, r.Answer)))
	case report.Broken(err):
		return "The relay closed the connection instead of a hello. Is it a relay, and not a web server?"
	}
	return fmt.Sprintf("The handshake failed: %s.", client.Safe(err))
}

// refusals explain errors that somebody can do something about. Spec: xftp.md 9.1
var refusals = map[xftp.Error]string{
	xftp.ErrQuota:    "The relay's storage is full (QUOTA): it has to be given more room, or chunks have to expire.",
	xftp.ErrSize:     "The relay does not take chunks of this size (SIZE), which apps use.",
	xftp.ErrDigest:   "What reached the relay is not what was sent (DIGEST).",
	xftp.ErrTimeout:  "The upload took longer than the relay allows (TIMEOUT): the line is too slow, or the relay is overloaded.",
	xftp.ErrFileIO:   "The relay cannot store files (FILE_IO): its disk or database has a problem.",
	xftp.ErrInternal: "Something inside the relay failed (INTERNAL): its log says what.",
	xftp.ErrNoFile:   "The upload to the relay has not been finished (NO_FILE).",
}

// command explains why a command failed.
func (r Relay) command(err error) string {
	refusal, refused := errors.AsType[xftp.Error](err)
	lost, ended := errors.AsType[*client.ConnError](err)
	response, wrong := errors.AsType[*client.ResponseError](err)
	switch {
	case errors.Is(err, client.ErrDigest):
		return "The relay gave back other bytes than were sent."
	case errors.Is(err, client.ErrSize):
		return "The relay gave back more or fewer bytes than were sent."
	case errors.Is(err, client.ErrTag):
		return "What the relay gave back does not decrypt."
	case refused:
		return refusalText(refusal)
	case wrong:
		return "The relay gave an answer that does not fit the command: " + response.Error() + "."
	case report.TimedOut(err):
		return fmt.Sprintf("The relay did not answer (waited %s).", report.Duration(r.Answer))
	case ended:
		return fmt.Sprintf("The relay closed the connection (%s).", client.Safe(lost.Err))
	}
	return fmt.Sprintf("It was not possible to go on: %s.", client.Safe(err))
}

func refusalText(refusal xftp.Error) string {
	if blocked, ok := refusal.(xftp.BlockedError); ok {
		return fmt.Sprintf("The relay's operator has blocked the file (%s).", report.Printable(string(blocked.Reason)))
	}
	if text, ok := refusals[refusal]; ok {
		return text
	}
	return fmt.Sprintf("The relay refused this step with the error %s.", report.Printable(refusal.Error()))
}

// NewRefused explains that the relay registers no new chunk for somebody with this address.
//
// Spec: xftp.md 8.1
func (r Relay) NewRefused() string {
	if r.Server.Password != nil {
		return "The relay refuses new files: the password in the address is wrong, or new files are turned off."
	}
	return "The relay refuses new files: it needs a password, which the address does not have " +
		"(xftp://fingerprint:password@host), or new files are turned off."
}

// Address explains why a text is no address.
func Address(err error) string {
	return fmt.Sprintf("This is no relay address: %s. An address looks like xftp://fingerprint@host or "+
		"xftp://fingerprint:password@host.", report.Printable(err.Error()))
}
