package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"rsc.io/qr"

	"sotto/shared/identity"
	"sotto/shared/smp"
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
			return badSetting("address has no option %q; it takes --plain and --no-password", arg)
		}
	}
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	id, err := loadIdentity(cfg)
	if err != nil {
		return err
	}
	text := addressText(cfg, id, withPassword)
	if plain {
		_, err = fmt.Fprintln(w, text)
		return err
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return fmt.Errorf("the address does not fit a QR code: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n%s\n\nScan it in the app: Network & servers > Your servers > Add server > Scan server QR code.\n",
		terminalQR(code), text)
	return err
}

// quietZone is the white margin that scanners need, in modules.
const quietZone = 4

// terminalQR draws the code with half blocks, two modules in a character cell, dark on light whatever the
// terminal's own colours are.
func terminalQR(code *qr.Code) string {
	const light, reset = "\x1b[97;40m", "\x1b[0m" // white blocks are the paper, the black ground is the ink
	dark := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < code.Size && y < code.Size && code.Black(x, y)
	}
	var b strings.Builder
	for y := -quietZone; y < code.Size+quietZone; y += 2 {
		b.WriteString(light)
		for x := -quietZone; x < code.Size+quietZone; x++ {
			switch top, bottom := dark(x, y), dark(x, y+1) || y+1 >= code.Size+quietZone; {
			case top && bottom:
				b.WriteString(" ")
			case top:
				b.WriteString("▄")
			case bottom:
				b.WriteString("▀")
			default:
				b.WriteString("█")
			}
		}
		b.WriteString(reset + "\n")
	}
	return b.String()
}

// loadIdentity loads an identity that must exist.
func loadIdentity(cfg *Config) (*identity.Identity, error) {
	ca, cert, private := cfg.CACert, cfg.Cert, cfg.Key
	if ca == "" {
		ca, cert, private = inDir(cfg, "ca.crt"), inDir(cfg, "server.crt"), inDir(cfg, "server.key")
	}
	id, err := identity.Load(ca, cert, private)
	if err != nil {
		return nil, configError{err.Error()}
	}
	return id, nil
}

func inDir(cfg *Config, name string) string { return filepath.Join(cfg.DataDir, name) }

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
