// Command smp is a message relay for SimpleX apps: it holds queues of end-to-end encrypted messages in Postgres
// until their recipients have them.
package main

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

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // it did not work
	exitUsage = 2 // the settings or the command line are wrong
)

const usage = `smp is a message relay for SimpleX apps. All settings are environment variables named SMP_...

Usage: smp [command]

  serve           run the relay (the default)
  init            make the relay's identity, without starting it
  address         print the relay's address, and a QR code to scan in the app
                    --plain        the address and nothing else
                    --no-password  without the password for new queues
  migrate         bring the database to this version's schema
  health          exit with 0 if the relay of these settings is running and ready
  try ADDRESS     test any relay as the app's "Test server" does, then hold a conversation
  version         print the version
  help            print this
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	err := dispatch(ctx, command, args, stdout, stderr)
	var mistake settings.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &mistake):
		fmt.Fprintf(stderr, "smp: %v\n", err)
		return exitUsage
	case errors.Is(err, errSaid):
		return exitError
	default:
		fmt.Fprintf(stderr, "smp: %v\n", err)
		return exitError
	}
}

// errSaid is a failure that was already told to the person.
var errSaid = errors.New("failed")

func dispatch(ctx context.Context, command string, args []string, stdout, stderr io.Writer) error {
	noArgs := func(f func() error) error {
		if len(args) > 0 {
			return settings.Bad("%s takes no argument %q; see smp help", command, args[0])
		}
		return f()
	}
	switch command {
	case "serve":
		return noArgs(func() error { return serve(ctx, stdout, stderr) })
	case "init":
		return noArgs(func() error { return initIdentity(stdout) })
	case "address":
		return printAddress(args, stdout)
	case "migrate":
		return noArgs(func() error { return migrate(ctx, stdout) })
	case "health":
		return noArgs(func() error { return health(ctx, stdout) })
	case "try":
		return try(ctx, args, stdout)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(stdout, "smp %s\n", version)
		return err
	case "help", "--help", "-h":
		_, err := io.WriteString(stdout, usage)
		return err
	default:
		return settings.Bad("unknown command %q; see smp help", command)
	}
}
