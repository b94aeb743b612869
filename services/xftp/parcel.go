package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sotto/services/xftp/internal/transfer"
	"sotto/shared/address"
	"sotto/shared/description"
)

// Names of descriptions in their directory.
//
// Spec: xftp.md 14.1
const (
	senderFile = "snd.xftp.private"
	linkFile   = "link.xftp.private" // deletes what the link leads to, if that is not the file itself
	private    = "*.xftp.private"
)

// recipientFile is the name for the recipient with this index.
func recipientFile(i int) string { return fmt.Sprintf("rcv%d.xftp", i+1) }

// parcel is a sent file as its sender has it.
type parcel struct {
	dir      string // of its descriptions
	sent     *transfer.Sent
	redirect *transfer.Sent // nil: links have the description itself
	web, app string         // links
}

// makeDir makes a directory for the descriptions of a file: name.xftp, or with a number in it.
//
// Spec: xftp.md 14.1
func makeDir(in, name string) (string, error) {
	dir, err := transfer.Unique(in, name, func(path string) error { return os.Mkdir(path+".xftp", 0o700) })
	return dir + ".xftp", err
}

// link makes the links for the first recipient. A description that is too long for one is uploaded itself.
//
// Spec: xftp.md 13.5
func (p *parcel) link(ctx context.Context, relays []address.Server) error {
	d := p.sent.Recipients[0]
	web, err := description.WebLink(d, d.Origin())
	if description.WantsRedirect(d, web) {
		if p.redirect, err = transfer.Redirect(ctx, d, relays, transfer.Options{}); err != nil {
			return err
		}
		d = p.redirect.Recipients[0]
		web, err = description.WebLink(d, d.Origin())
	}
	p.web, p.app = web, description.AppLink(d, "")
	return err
}

// write writes the descriptions, for their owner's eyes.
func (p *parcel) write() error {
	texts := map[string]*description.Description{senderFile: p.sent.Sender}
	if p.redirect != nil {
		texts[linkFile] = p.redirect.Sender
	}
	for i, d := range p.sent.Recipients {
		texts[recipientFile(i)] = d
	}
	for name, d := range texts {
		if err := writePrivate(filepath.Join(p.dir, name), d.Append(nil)); err != nil {
			return err
		}
	}
	return nil
}

// writePrivate writes a new file.
func writePrivate(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// undo deletes everything here and on the relays: nobody could do it later.
func (p *parcel) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	_, _ = transfer.Delete(ctx, p.sent.Sender, transfer.Options{})
	if p.redirect != nil {
		_, _ = transfer.Delete(ctx, p.redirect.Sender, transfer.Options{})
	}
	_ = os.RemoveAll(p.dir)
}

// privateFiles lists the senders' descriptions that an argument stands for: those in a directory, or the file.
func privateFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, nil // reading it tells what is wrong
	}
	files, err := fs.Glob(os.DirFS(path), private)
	for i := range files {
		files[i] = filepath.Join(path, files[i])
	}
	return files, err
}
