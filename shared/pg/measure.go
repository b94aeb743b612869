package pg

import (
	"context"
	"errors"
	"time"
)

// Operation is a kind of work in the database, as it is measured.
type Operation uint8

// Operations.
const (
	Append Operation = iota // a group of messages, or of pages, is stored and committed
	Remove                  // messages that were acknowledged are removed
	Lookup                  // records are looked up by their ids
	Read                    // messages, or pages, are read
	Change                  // a record is made, changed or removed
	Sweep                   // what has expired is looked for and removed
	operations
)

// Operations are the names of the operations, in their order.
var Operations = [operations]string{"append", "remove", "lookup", "read", "change", "sweep"}

// Outcome is what became of an operation.
type Outcome uint8

// Outcomes.
const (
	Done    Outcome = iota // the database did it, or said that there is nothing to do
	Refused                // it answered with an error
	Away                   // it did not answer
	outcomes
)

// Outcomes are the names of the outcomes, in their order.
var Outcomes = [outcomes]string{"done", "refused", "away"}

// Measure is told what one attempt of an operation took, with the wait for a connection, and how it ended. It must not
// wait.
type Measure func(op Operation, end Outcome, took time.Duration)

// Note measures an attempt that began then and ended with err. A nil Measure takes nothing; what was given up because its
// client left is not measured.
func (m Measure) Note(op Operation, begun time.Time, err error) {
	if m == nil || errors.Is(err, context.Canceled) {
		return
	}
	end := Done
	switch {
	case IsUnavailable(err):
		end = Away
	case err != nil:
		end = Refused
	}
	m(op, end, time.Since(begun))
}
