package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"sotto/services/xftp/internal/transfer"
	"sotto/shared/description"
	"sotto/shared/settings"
	"sotto/shared/terminal"
)

// receive is the command receive.
func receive(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var out string
	var keep bool
	flags := flag.NewFlagSet("receive", flag.ContinueOnError)
	flags.StringVar(&out, "out", ".", "")
	flags.BoolVar(&keep, "keep", false, "")
	args, done, err := parseFlags(flags, args, stdout)
	if err != nil || done {
		return err
	}
	if len(args) == 0 {
		return settings.Bad("receive lacks a link, or the name of a description file: xftp receive LINK")
	}
	if err := checkDir(out); err != nil {
		return err
	}
	var all []*description.Description
	for _, arg := range args {
		d, err := described(arg)
		if err != nil {
			return err
		}
		all = append(all, d)
	}
	for _, d := range all {
		bar := terminal.NewBar(stderr, "Receiving")
		received, err := transfer.Receive(ctx, d, out, transfer.Options{Progress: bar.Set, Keep: keep})
		bar.Close()
		if err != nil {
			return receiveFailure(err)
		}
		if _, err := fmt.Fprintln(stdout, received.Path); err != nil {
			return err
		}
	}
	return nil
}
