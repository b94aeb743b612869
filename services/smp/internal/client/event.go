package client

import (
	"time"

	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Event is what the relay sends without being asked: MSG, NMSG, END, DELD, ENDS, and ERR for what it could not read.
//
// Spec: smp.md 10
type Event struct {
	// CorrID is empty, unless this is the answer to a command that was not sent through a call, or a MSG that
	// answers a call which was given up: messages are not lost that way.
	CorrID   wire.CorrID
	EntityID wire.EntityID
	// Response is nil if Err is set. Its slices are valid until Release.
	Response smp.Response
	// Err is a [*ResponseError] for an event that cannot be read.
	Err error

	in *inbound
}

// Release gives the event's memory back, for reuse. Calling it is optional, and allowed once; the event's slices must
// not be used afterwards. Consumers of many messages should call it.
func (e *Event) Release() {
	if e.in != nil {
		e.in.release()
		e.in = nil
	}
}

// Events returns what the relay sends without being asked, in order. The channel is closed when the connection has
// ended and all events before that were taken.
//
// The channel has room for [Options.EventBuffer] events. When it is full the connection is not read from, so that the
// relay holds back; answers wait behind the event, as they do in the stream. After [Options.EventPatience] of that the
// connection ends with [ErrSlowConsumer], so a consumer that itself waits for an answer does not wait for ever. A
// relay has at most one message in flight per subscription: with more room than subscriptions a consumer may be slow,
// and may acknowledge from the loop that takes events, at no risk.
func (c *Client) Events() <-chan Event { return c.events }

// notify makes an event of t. It waits for room as [Client.Events] says.
func (c *Client) notify(in *inbound, t *wire.Transmission) error {
	e := Event{CorrID: t.CorrID, EntityID: t.EntityID}
	response, err := smp.ParseResponse(c.conn.version, t.Command)
	if err != nil {
		e.Err = &ResponseError{Err: err}
	} else {
		e.Response = response
	}
	if _, message := response.(smp.MSG); !message && len(t.CorrID) == corrIDSize {
		return nil // too late for its call
	}
	in.retain()
	e.in = in
	select {
	case c.events <- e:
		return nil
	default:
	}
	patience := time.NewTimer(c.conn.options.EventPatience)
	defer patience.Stop()
	select {
	case c.events <- e:
		return nil
	case <-patience.C:
		e.Release()
		return ErrSlowConsumer
	case <-c.done:
		e.Release()
		return ErrClosed
	}
}
