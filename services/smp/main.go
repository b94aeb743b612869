// Command smp is a message relay for SimpleX apps: it holds queues of end-to-end encrypted messages in Postgres
// until their recipients have them.
package main

import (
	"context"
	"fmt"
	"io"

	"sotto/shared/run"
)

// version is set by the build.
var version = "dev"

const usage = `smp is a message relay for SimpleX apps. All settings are environment variables named SMP_...

Usage: smp [command]

  serve           run the relay (the default)
  init            make the relay's identity, without starting it
  address         print the relay's address, and a QR code to scan in the app
                    --plain        the address and nothing else
                    --no-password  without the password for new queues
  migrate         bring the database to this version's schema
  health          exit with 0 if the relay of these settings is running and ready
  admin           look at the running relay, and act on abuse; see smp admin help
  try ADDRESS     test any relay as the app's "Test server" does, then hold a conversation
` + run.TryOptions + `  version         print the version
  help            print this
`

func main() { run.Main("smp", dispatch) }

func dispatch(ctx context.Context, command string, args []string, stdout, stderr io.Writer) error {
	noArgs := func(do func() error) error { return run.NoArgs("smp", command, args, do) }
	switch command {
	case "serve":
		return noArgs(func() error { return serve(ctx, stdout, stderr) })
	case "init":
		return noArgs(func() error { return run.Init(stdout, loadAdvertised) })
	case "address":
		return run.Address(args, stdout, loadAdvertised)
	case "migrate":
		return noArgs(func() error { return migrate(ctx, stdout) })
	case "health":
		return noArgs(func() error { return health(ctx, stdout) })
	case "admin":
		return adminCommand(ctx, args, stdout, stderr)
	case "try":
		return try(ctx, args, stdout)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(stdout, "smp %s\n", version)
		return err
	case "help", "--help", "-h":
		_, err := io.WriteString(stdout, usage)
		return err
	default:
		return run.Unknown("smp", command)
	}
}
