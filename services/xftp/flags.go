package main

import (
	"errors"
	"flag"
	"io"
	"strings"

	"sotto/services/xftp/internal/explain"
	"sotto/shared/address"
	"sotto/shared/settings"
)

// parseFlags parses the flags of a command, which may stand before, between and after its arguments, and returns these.
// After "--" everything is an argument. If help was asked for it writes the usage and returns no arguments: done is true.
func parseFlags(flags *flag.FlagSet, args []string, stdout io.Writer) (rest []string, done bool, err error) {
	flags.SetOutput(io.Discard)
	for {
		err := flags.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			_, err := io.WriteString(stdout, usage)
			return nil, true, err
		}
		if err != nil {
			return nil, false, settings.Bad("%s: %v; see xftp help", flags.Name(), err)
		}
		parsed := len(args) - flags.NArg()
		switch {
		case flags.NArg() == 0:
			return rest, false, nil
		case parsed > 0 && args[parsed-1] == "--":
			return append(rest, flags.Args()...), false, nil
		}
		rest, args = append(rest, flags.Arg(0)), flags.Args()[1:]
	}
}

// parseRelays parses the addresses of --to, each of which may be several with semicolons between them. What was given is
// not repeated in an error, since it may have a password.
func parseRelays(to []string) ([]address.Server, error) {
	var relays []address.Server
	for text := range strings.SplitSeq(strings.Join(to, ";"), ";") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		relay, err := address.Parse(address.XFTP, text)
		if err != nil {
			return nil, settings.Bad("--to: %s", explain.Address(err))
		}
		relays = append(relays, relay)
	}
	if len(relays) == 0 {
		return nil, settings.Bad("send lacks --to ADDRESS: the relay that the file goes to")
	}
	return relays, nil
}
