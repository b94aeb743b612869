package load

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"sotto/shared/address"
	"sotto/shared/relay"
)

// Relay is a relay under measurement, with a database of its own.
type Relay struct {
	*relay.Relay
	Database *Database
}

// Bench is where relays are measured: a binary, a directory for their data, and a Postgres for their databases.
type Bench struct {
	Scheme    address.Scheme
	Binary    string
	Directory string
	Admin     string // URL
}

// Start starts a relay on an empty database, with these settings besides its own.
func (b *Bench) Start(ctx context.Context, settings ...string) (*Relay, error) {
	d, err := CreateDatabase(ctx, b.Admin)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.Directory, "relay-")
	if err != nil {
		return nil, errors.Join(err, d.Drop())
	}
	quiet := relay.Prefix(b.Scheme) + "LOG_LEVEL=info"
	r, err := relay.New(b.Scheme, b.Binary, filepath.Join(dir, "data"), d.URL, append([]string{quiet}, settings...)...)
	if err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, d.Drop())
	}
	return &Relay{r, d}, nil
}

// End ends the relay and removes its database. It is an error if the relay has ended before, or says that it failed.
func (r *Relay) End() error {
	var err error
	switch {
	case !r.Running():
		err = errors.New("the relay has ended")
	case strings.Contains(r.Stderr.String(), "panic"), strings.Contains(r.Stderr.String(), "connection handler failed"):
		err = errors.New("the relay has panicked")
	}
	if err != nil {
		err = fmt.Errorf("%w:\n%s", err, r.Stderr.String())
	}
	return errors.Join(err, r.Kill(), r.Database.Drop())
}
