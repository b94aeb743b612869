package run

import (
	"fmt"
	"io"

	"sotto/shared/settings"
	"sotto/shared/terminal"
)

// Address is the command address: it prints the address, and a code to scan.
func Address(args []string, w io.Writer, load func() (Advertised, error)) error {
	plain, withPassword := false, true
	for _, arg := range args {
		switch arg {
		case "--plain":
			plain = true
		case "--no-password":
			withPassword = false
		default:
			return settings.Bad("address has no option %q; it takes --plain and --no-password", arg)
		}
	}
	a, err := load()
	if err != nil {
		return err
	}
	id, err := a.Identity.Load()
	if err != nil {
		return err
	}
	text := a.Text(id, withPassword)
	if plain {
		_, err = fmt.Fprintln(w, text)
		return err
	}
	code, err := terminal.QR(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n%s\n\nScan it in the app: %s.\n", code, text, a.Scan)
	return err
}

// Init is the command init: it makes the identity, unless there is one, and prints the address.
func Init(w io.Writer, load func() (Advertised, error)) error {
	a, err := load()
	if err != nil {
		return err
	}
	id, made, err := a.LoadOrCreate()
	if err != nil {
		return err
	}
	if made {
		_, err = fmt.Fprintf(w, "Made a new identity in %s. Back it up: whoever has it is the relay.\n", a.Identity.DataDir)
	} else {
		_, err = fmt.Fprintln(w, "The identity exists already; nothing was changed.")
	}
	if err == nil {
		_, err = fmt.Fprintln(w, a.Text(id, true))
	}
	return err
}

// Migrated is the end of the command migrate: it tells which versions the schema had and has.
func Migrated(w io.Writer, from, to int) error {
	if from == to {
		_, err := fmt.Fprintf(w, "The schema is at version %d already.\n", to)
		return err
	}
	_, err := fmt.Fprintf(w, "Migrated the schema from version %d to %d.\n", from, to)
	return err
}
