package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/site"
	"sotto/shared/xftp"
)

// healthTimeout bounds the health check.
const healthTimeout = 5 * time.Second

// health is the command health: it asks the running relay, as a client, to acknowledge a chunk that does not exist. The
// right refusal shows that the relay accepts connections, has this identity, and reads its database.
func health(ctx context.Context, w io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	id, err := cfg.identity().Load()
	if err != nil {
		return err
	}
	relay, err := settings.Local(address.XFTP, "XFTP_LISTEN", cfg.Listen[0])
	if err != nil {
		return err
	}
	fingerprint := id.Fingerprint()
	relay.Fingerprint = fingerprint[:]
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	dial := run.Dialer(cfg.ProxyProtocol)
	if err := askForNothing(ctx, relay, client.Options{Dialer: dial}); err != nil {
		return fmt.Errorf("the relay on port %s (XFTP_LISTEN) is not ready: %w", relay.Port, err)
	}
	if _, err = fmt.Fprintln(w, "ready"); err != nil {
		return err
	}
	hosts, err := cfg.Hosts()
	if err != nil {
		return err
	}
	return site.Health(ctx, w, dial, relay, hosts)
}

// askForNothing acknowledges a chunk that nobody has, and wants to be refused.
func askForNothing(ctx context.Context, relay address.Server, options client.Options) error {
	c, err := client.Dial(ctx, relay, options)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	nobody := make([]byte, xftp.IDSize)
	_, _ = rand.Read(nobody) // never fails
	err = c.Acknowledge(ctx, nobody, auth.NewEd25519())
	var refused xftp.Error
	switch {
	case err == nil:
		return errors.New("it knows a chunk that cannot exist")
	case !errors.As(err, &refused):
		return err
	case refused != xftp.ErrAuth:
		return errors.New("its database does not answer")
	}
	return nil
}
