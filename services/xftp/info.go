package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"sotto/shared/description"
	"sotto/shared/settings"
)

// info is the command info.
func info(_ context.Context, args []string, stdout, _ io.Writer) error {
	args, done, err := parseFlags(flag.NewFlagSet("info", flag.ContinueOnError), args, stdout)
	if err != nil || done {
		return err
	}
	if len(args) == 0 {
		return settings.Bad("info lacks a link, or the name of a description file: xftp info LINK")
	}
	for i, arg := range args {
		d, err := described(arg)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(stdout)
		}
		if err := tellDescription(stdout, d); err != nil {
			return err
		}
	}
	return nil
}

// tellDescription prints what a description says, without ids and keys.
func tellDescription(stdout io.Writer, d *description.Description) error {
	purpose := "the recipient, who receives the file"
	if d.Party == description.Sender {
		purpose = "the sender, who deletes the file"
	}
	fmt.Fprintf(stdout, "For:    %s\n", purpose)
	if d.Redirect != nil {
		fmt.Fprintf(stdout, "Size:   %s\n", settings.Size(d.Redirect.Size))
		fmt.Fprintf(stdout, "Chunks: not in the link; it leads to a description of %s on\n", settings.Size(d.Size))
	} else {
		fmt.Fprintf(stdout, "Size:   %s, with the padding\n", settings.Size(d.Size))
		fmt.Fprintf(stdout, "Chunks: %d\n", len(d.Chunks))
	}
	var err error
	for _, r := range shares(d) {
		_, err = fmt.Fprintf(stdout, "Relay:  %s has %s in %s\n", r.relay, settings.Size(r.size), count(r.chunks, "chunk"))
	}
	return err
}

// share is what one relay has of a file.
type share struct {
	relay  string
	chunks int
	size   int64
}

// shares lists the relays in the order in which the description first names them.
func shares(d *description.Description) []share {
	var all []share
	at := make(map[string]int)
	for _, c := range d.Chunks {
		for _, r := range c.Replicas {
			relay := r.Server.String()
			i, ok := at[relay]
			if !ok {
				i = len(all)
				at[relay] = i
				all = append(all, share{relay: relay})
			}
			all[i].chunks++
			all[i].size += int64(c.Size)
		}
	}
	return all
}
