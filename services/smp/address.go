package main

import (
	"fmt"
	"io"

	"sotto/shared/identity"
	"sotto/shared/settings"
	"sotto/shared/smp"
	"sotto/shared/terminal"
)

// addressText is what people enter in the app.
//
// Spec: smp.md 1.4
func addressText(cfg *Config, id *identity.Identity, withPassword bool) string {
	s, err := cfg.Hosts()
	if err != nil {
		panic("settings were validated")
	}
	fingerprint := id.Fingerprint()
	s.Fingerprint = fingerprint[:]
	if withPassword && cfg.CreatePassword != "" {
		s.Password = smp.BasicAuth(cfg.CreatePassword)
	}
	return s.String()
}

// printAddress is the command address.
func printAddress(args []string, w io.Writer) error {
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
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	id, err := cfg.identity().Load()
	if err != nil {
		return err
	}
	text := addressText(cfg, id, withPassword)
	if plain {
		_, err = fmt.Fprintln(w, text)
		return err
	}
	code, err := terminal.QR(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n%s\n\nScan it in the app: Network & servers > Your servers > Add server > Scan server QR code.\n",
		code, text)
	return err
}

// initIdentity is the command init.
func initIdentity(w io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	id, made, err := loadOrCreateIdentity(cfg)
	if err != nil {
		return err
	}
	if made {
		_, err = fmt.Fprintf(w, "Made a new identity in %s. Back it up: whoever has it is the relay.\n", cfg.DataDir)
	} else {
		_, err = fmt.Fprintln(w, "The identity exists already; nothing was changed.")
	}
	if err == nil {
		_, err = fmt.Fprintln(w, addressText(cfg, id, true))
	}
	return err
}
