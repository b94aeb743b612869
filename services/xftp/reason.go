package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/explain"
	"sotto/services/xftp/internal/transfer"
	"sotto/shared/address"
	"sotto/shared/description"
	"sotto/shared/file"
	"sotto/shared/report"
	"sotto/shared/xftp"
)

// failure explains why a transfer failed.
func failure(err error) error { return &report.Failure{Reason: reason(err), Err: err} }

// reasons explain errors that need no details.
var reasons = []struct {
	err  error
	text string
}{
	{context.Canceled, "Stopped."},
	{syscall.ENOSPC, "The disk is full. The encrypted chunks and the file itself need room at the same time."},
	{transfer.ErrChanged, "The file became longer or shorter while it was sent."},
	{transfer.ErrBroken, "What the relays gave is not the file that was described: it was damaged before it was sent, or exchanged."},
	{transfer.ErrRedirect, "The link leads to a description that is not the one it announces."},
	{transfer.ErrBusy, "The same file is being received into this directory already."},
	{transfer.ErrNoName, "The directory has too many files of this name."},
	{file.ErrTooLarge, "The file is larger than 5 GB, which no client takes."},
	{description.ErrLink, "This is no link to a file, or it is not complete."},
	{description.ErrDescription, "This is not the description of a file."},
}

// reason says in plain words what err means.
func reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.text
		}
	}
	if e, ok := errors.AsType[*transfer.RelayError](err); ok {
		relay := explain.New(e.Server, client.Options{})
		return fmt.Sprintf("%s (Relay: %s)", relay.Error(e.Err), relay.Host())
	}
	return fmt.Sprintf("It did not work: %s.", report.Printable(err.Error()))
}

// sendFailure explains why a file could not be sent to these relays.
func sendFailure(err error, relays []address.Server) error {
	e, ok := errors.AsType[*transfer.RelayError](err)
	if !ok || !errors.Is(err, xftp.ErrAuth) {
		return failure(err)
	}
	relay := explain.New(e.Server, client.Options{})
	for _, r := range relays {
		if r.Equal(e.Server) {
			relay.Server = r // has the password, if there is one
		}
	}
	return &report.Failure{Reason: fmt.Sprintf("%s (Relay: %s)", relay.NewRefused(), relay.Host()), Err: err}
}

// receiveFailure explains why a file could not be received, and whether trying again goes on from here.
func receiveFailure(err error) error {
	f := &report.Failure{Reason: reason(err), Err: err}
	switch {
	case errors.Is(err, transfer.ErrParty):
		f.Reason = "This is the sender's description, which deletes the file. A recipient's receives it."
	case errors.Is(err, xftp.ErrAuth):
		f.Reason = "The relay does not have the file any more: it has expired, was deleted, or was received before with this " +
			"link or description."
	case errors.Is(err, client.ErrDigest):
		f.Reason = "The relay gave other bytes than the description says: the file is damaged there, or was exchanged."
	}
	if transfer.Resumes(err) {
		f.Reason += "\nWhat was received is kept: the same command goes on from here."
	}
	return f
}
