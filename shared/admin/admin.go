// Package admin lets the operator of a relay talk to it while it runs: over a Unix socket that only the relay's own user may
// open, with requests and answers in JSON. The relay registers handlers, and its commands "admin ..." call them. What is
// sent over the socket names queues and files, so none of it is ever logged.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Bounds. One operator, or a few scripts, use the socket.
const (
	// maxConnections at a time; more wait to be accepted.
	maxConnections = 8
	// maxRequest is what a request may have: an id and some words.
	maxRequest = 4 << 10
	// maxHeader is what the headers of a request may have.
	maxHeader = 4 << 10
	// maxAnswer is what the command reads of an answer: a status with all its errors has less than 100 KB.
	maxAnswer = 1 << 20
	// readTime is what a request may take to arrive. It comes from this machine.
	readTime = 5 * time.Second
	// workTime is what a request may take to be answered: more than two attempts at a database that is away.
	workTime = 40 * time.Second
	// idleTime is how long a connection is kept for another request.
	idleTime = 5 * time.Second
)

// Off, as the path of the socket, says that there is none.
const Off = "off"

// Handler does what one command asks for. in is what the command has sent, nil if nothing. The answer is sent as JSON. An
// [Answer] as the error is told to the operator as it is; any other one, by its cause.
type Handler func(ctx context.Context, in json.RawMessage) (any, error)

// Answer is an error that answers a command: a sentence for the operator.
type Answer struct{ text string }

// Error returns the sentence.
func (a Answer) Error() string { return a.text }

// Refuse makes an [Answer].
func Refuse(text string) error { return Answer{text} }

// ErrNotFound answers that there is no such thing.
var ErrNotFound = errors.New("not found")

// ErrNotRunning says that nobody answers at the socket.
var ErrNotRunning = errors.New("the relay does not run")

// Decode reads what a command has sent. What it does not know is a mistake.
func Decode(in json.RawMessage, into any) error {
	if json.Unmarshal(in, into) != nil {
		return Refuse("the request cannot be read: are the command and the relay of the same version?")
	}
	return nil
}

// Change is what a command asks to be done to one thing.
type Change struct {
	ID     string `json:"id"`             // base64url
	Kind   string `json:"kind,omitempty"` // of ids; empty: any
	Reason string `json:"reason,omitempty"`
	// Notice says that clients are shown a notice; TTL, in seconds, how long it is of use, 0 for ever.
	Notice bool  `json:"notice,omitempty"`
	TTL    int64 `json:"ttl,omitempty"`
}

// Done answers a command that has changed something.
type Done struct {
	Done bool `json:"done"`
}
