package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/explain"
	"sotto/services/xftp/internal/transfer"
	"sotto/shared/address"
	"sotto/shared/file"
	"sotto/shared/report"
	"sotto/shared/settings"
	"sotto/shared/terminal"
)

// undoTimeout bounds the deletion of a file that was sent, when its descriptions cannot be kept.
const undoTimeout = 15 * time.Second

// sending is the command send.
type sending struct {
	relays         []address.Server
	recipients     int
	out            string // directory for descriptions
	linkOnly       bool
	stdout, stderr io.Writer
}

// send is the command send.
func send(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c := sending{stdout: stdout, stderr: stderr}
	var to []string
	flags := flag.NewFlagSet("send", flag.ContinueOnError)
	flags.Func("to", "", func(text string) error { to = append(to, text); return nil })
	flags.IntVar(&c.recipients, "recipients", 1, "")
	flags.StringVar(&c.out, "out", ".", "")
	flags.BoolVar(&c.linkOnly, "link", false, "")
	paths, done, err := parseFlags(flags, args, stdout)
	if err != nil || done {
		return err
	}
	if len(paths) == 0 {
		return settings.Bad("send lacks the name of a file: xftp send FILE --to ADDRESS")
	}
	if c.recipients < 1 || c.recipients > transfer.MaxRecipients {
		return settings.Bad("--recipients is not a number from 1 to %d", transfer.MaxRecipients)
	}
	if c.relays, err = parseRelays(to); err != nil {
		return err
	}
	if err := checkDir(c.out); err != nil {
		return err
	}
	for _, path := range paths {
		if err := checkFile(path); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := c.file(ctx, path); err != nil {
			return err
		}
	}
	return nil
}

// checkDir returns a mistake unless --out is a directory.
func checkDir(dir string) error {
	if info, err := os.Stat(dir); err != nil {
		return settings.Bad("--out: %v", err)
	} else if !info.IsDir() {
		return settings.Bad("--out: %s is not a directory", dir)
	}
	return nil
}

// checkFile finds out what is wrong with a file before others are sent.
func checkFile(path string) error {
	f, _, err := open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// open opens a file that can be sent, and returns its size.
func open(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &report.Failure{Reason: fmt.Sprintf("The file cannot be sent: %v.", err), Err: err}
	}
	info, err := f.Stat()
	var why string
	switch {
	case err != nil:
		why = err.Error()
	case info.IsDir():
		why = "is a directory. Pack it into one file first."
	case !info.Mode().IsRegular():
		why = "is not an ordinary file, whose size is known."
	case info.Size() > file.MaxSize:
		why = "is larger than 5 GB, which no client takes."
	default:
		return f, info.Size(), nil
	}
	_ = f.Close()
	return nil, 0, &report.Failure{Reason: path + " " + why, Err: err}
}

// file sends one file.
func (c *sending) file(ctx context.Context, path string) error {
	f, size, err := open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	name := filepath.Base(path)
	if size > transfer.AppSize {
		fmt.Fprintf(c.stderr, "%s is larger than 1 GB: SimpleX apps will not take it, this program will.\n", name)
	}
	dir, err := makeDir(c.out, name)
	if err != nil {
		return &report.Failure{Reason: fmt.Sprintf("There is no place for the descriptions: %v.", err), Err: err}
	}
	bar := terminal.NewBar(c.stderr, report.Printable(name))
	sent, err := transfer.Send(ctx, transfer.Source{Name: name, Size: size, Reader: f}, c.relays, c.recipients, transfer.Options{
		Progress: bar.Set,
		LeftOut: func(relay address.Server, err error) {
			bar.Close()
			r := explain.New(relay, client.Options{})
			fmt.Fprintf(c.stderr, "The relay %s gets no chunks: %s\n", r.Host(), r.Error(err))
		},
	})
	bar.Close()
	if err != nil {
		_ = os.Remove(dir)
		return sendFailure(err, c.relays)
	}
	p := parcel{dir: dir, sent: sent}
	if err := c.finish(ctx, &p); err != nil {
		p.undo(ctx)
		return err
	}
	return c.tell(name, size, &p)
}

// finish makes links and descriptions of a file that is on the relays.
func (c *sending) finish(ctx context.Context, p *parcel) error {
	if err := p.link(ctx, c.relays); err != nil {
		return sendFailure(err, c.relays)
	}
	if err := p.write(); err != nil {
		return &report.Failure{Reason: fmt.Sprintf("The descriptions cannot be written: %v.", err), Err: err}
	}
	return nil
}

// tell prints what the person passes on.
func (c *sending) tell(name string, size int64, p *parcel) error {
	if c.linkOnly {
		_, err := fmt.Fprintln(c.stdout, p.web)
		return err
	}
	chunks := len(p.sent.Sender.Chunks)
	fmt.Fprintf(c.stdout, "Sent %s: %s in %s.\n\n", report.Printable(name), settings.Size(size), count(chunks, "chunk"))
	fmt.Fprintf(c.stdout, "Description for you, to delete the file:\n  %s\n", filepath.Join(p.dir, senderFile))
	fmt.Fprintf(c.stdout, "%s:\n", plural(c.recipients, "Description for the recipient", "Descriptions for the recipients"))
	for i := range p.sent.Recipients {
		fmt.Fprintf(c.stdout, "  %s\n", filepath.Join(p.dir, recipientFile(i)))
	}
	whose := plural(c.recipients, "", " for the first recipient")
	_, err := fmt.Fprintf(c.stdout, "\nWeb link%s:\n%s\n\nApp link%s:\n%s\n", whose, p.web, whose, p.app)
	return err
}

// count writes a number of things.
func count(n int, thing string) string { return fmt.Sprintf("%d %s", n, plural(n, thing, thing+"s")) }

func plural(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}
