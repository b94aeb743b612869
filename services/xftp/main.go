// Command xftp is a file relay for SimpleX apps and browsers: it holds encrypted chunks of files in Postgres until they
// expire. It also sends and receives files through relays.
package main

import (
	"context"
	"fmt"
	"io"

	"sotto/shared/run"
)

// version is set by the build.
var version = "dev"

const usage = `xftp is a file relay for SimpleX apps, and sends and receives files through such relays.

Usage: xftp [command]

The relay. All its settings are environment variables named XFTP_...

  serve           run the relay (the default)
  init            make the relay's identity, without starting it
  address         print the relay's address, and a QR code to scan in the app
                    --plain        the address and nothing else
                    --no-password  without the password for new files
  migrate         bring the database to this version's schema
  health          exit with 0 if the relay of these settings is running and ready
  admin           look at the running relay, and act on abuse; see xftp admin help

Any relay:

  try ADDRESS     test it as the app's "Test server" does, then with a chunk of the largest size
` + run.TryOptions + `  send FILE...    encrypt files, upload them, print links and descriptions
                    --to ADDRESS   the relay to use; more than one shares the chunks
                    --recipients N how many people get a description of their own
                    --out DIR      where the descriptions go
                    --link         print the web link and nothing else
  receive LINK    download a file from a link, or from a description file
                    --out DIR      where the file goes
                    --keep         leave it on the relays, for others with the same link
  delete FILE     delete from the relays what the sender's description names
  info LINK       tell what a link or a description file describes

  version         print the version
  help            print this
`

func main() { run.Main("xftp", dispatch) }

func dispatch(ctx context.Context, command string, args []string, stdout, stderr io.Writer) error {
	noArgs := func(do func() error) error { return run.NoArgs("xftp", command, args, do) }
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
	case "send":
		return send(ctx, args, stdout, stderr)
	case "receive":
		return receive(ctx, args, stdout, stderr)
	case "delete":
		return remove(ctx, args, stdout, stderr)
	case "info":
		return info(ctx, args, stdout, stderr)
	case "version", "--version", "-v":
		_, err := fmt.Fprintf(stdout, "xftp %s\n", version)
		return err
	case "help", "--help", "-h":
		_, err := io.WriteString(stdout, usage)
		return err
	default:
		return run.Unknown("xftp", command)
	}
}
