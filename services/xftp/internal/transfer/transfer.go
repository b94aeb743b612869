// Package transfer sends and receives whole files: it encrypts a file, spreads its chunks over relays, and puts them
// together again, on several connections at a time. Memory does not grow with the file. It knows no terminal and no
// command line.
//
// Spec: xftp.md 12
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
)

const (
	// defaultConnections is how many connections a transfer uses at a time. One does not fill a line with a long round
	// trip, since each has one request at a time; with many the line is no faster, and each holds a chunk in memory.
	defaultConnections = 4
	// ahead is how many chunks are encrypted while all connections are busy.
	ahead = 1
	// cleanupTimeout bounds the deletion of what a failed transfer leaves on relays, where it expires anyway.
	cleanupTimeout = 15 * time.Second
)

// AppSize is the size in bytes above which apps do not take a file.
//
// Spec: xftp.md 12.1
const AppSize = 1 << 30

// Errors of whole files. Those of relays are [*RelayError].
var (
	// ErrChanged: the file became longer or shorter while it was sent.
	ErrChanged = errors.New("file has changed while it was sent")
	// ErrParty: the description is of the other party: a sender's cannot be received, a recipient's not be deleted.
	ErrParty = errors.New("description is of the other party")
	// ErrBroken: the chunks are those of the description, but together they are not the file it describes.
	ErrBroken = errors.New("file is not the one that was described")
	// ErrRedirect: what the description redirects to is no recipient's description, another one than was announced, or
	// redirects again. Spec: xftp.md 13.4
	ErrRedirect = errors.New("description redirects to a wrong one")
	// ErrRecipients: the number of recipients is not within 1 and [MaxRecipients].
	ErrRecipients = errors.New("wrong number of recipients")
)

// Options say how to transfer. The zero value is good.
type Options struct {
	// Client says how to connect.
	Client client.Options
	// Connections is how many there are at a time; 0: 4.
	Connections int
	// Progress, if set, is told what was transferred.
	Progress Progress
	// LeftOut, if set, is told of relays that get no chunks of a file since they cannot be reached. Calls do not overlap.
	LeftOut func(relay address.Server, err error)
	// Keep leaves the recipient's access to a file that was received, for others with the same description.
	Keep bool
	// Wait pauses before another attempt, and returns ctx's error if that ends first; nil: with a timer.
	Wait func(ctx context.Context, pause time.Duration) error
}

func (o Options) withDefaults() Options {
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	if o.LeftOut == nil {
		o.LeftOut = func(address.Server, error) {}
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return o
}

// RelayError is what failed at one relay: an [xftp.Error] that it answered, or an error of package client. Its text does
// not name the relay.
type RelayError struct {
	Server address.Server // without a password
	Err    error
}

// Error describes the failure without ids and addresses.
func (e *RelayError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RelayError) Unwrap() error { return e.Err }

// Format prints the text, whatever the verb.
func (e *RelayError) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, e.Error()) }

// public is the relay without what only its users know.
func public(s *address.Server) address.Server {
	named := *s
	named.Password = nil
	return named
}
