// Package run is the frame of a relay's program: the signals that end it, its exit codes, the listeners that it opens
// before anything else, its drain, and the commands that both relays have.
package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"sotto/shared/settings"
)

// Exit codes.
const (
	ExitOK    = 0
	ExitError = 1 // it did not work
	ExitUsage = 2 // the settings or the command line are wrong
)

// ErrSaid is a failure that was already told to the person.
var ErrSaid = errors.New("failed")

// Dispatch runs one command of a program. A mistake of the person's is a [settings.Error].
type Dispatch func(ctx context.Context, command string, args []string, stdout, stderr io.Writer) error

// Main is the main function of the program with this name. Without a command it serves.
func Main(name string, dispatch Dispatch) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := Run(ctx, name, dispatch, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is Main without the process: it returns the exit code.
func Run(ctx context.Context, name string, dispatch Dispatch, args []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	err := dispatch(ctx, command, args, stdout, stderr)
	var mistake settings.Error
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return ExitUsage
	case errors.Is(err, ErrSaid):
		return ExitError
	default:
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return ExitError
	}
}

// NoArgs runs a command that takes no arguments.
func NoArgs(name, command string, args []string, do func() error) error {
	if len(args) > 0 {
		return settings.Bad("%s takes no argument %q; see %s help", command, args[0], name)
	}
	return do()
}

// Unknown is the mistake of a command that there is not.
func Unknown(name, command string) error {
	return settings.Bad("unknown command %q; see %s help", command, name)
}
