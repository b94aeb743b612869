package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/site"
	"sotto/shared/smp"
)

// healthTimeout bounds the health check.
const healthTimeout = 5 * time.Second

// health is the command health: it asks the running relay, as a client, for a queue that does not exist. The right
// refusal shows that the relay accepts connections, has this identity, and reads its database.
func health(ctx context.Context, w io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	id, err := cfg.identity().Load()
	if err != nil {
		return err
	}
	relay, err := settings.Local(address.SMP, "SMP_LISTEN", cfg.Listen[0])
	if err != nil {
		return err
	}
	fingerprint := id.Fingerprint()
	relay.Fingerprint = fingerprint[:]
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	dial := run.Dialer(cfg.ProxyProtocol)
	if err := askForNothing(ctx, relay, client.Options{Dialer: dial}); err != nil {
		return fmt.Errorf("the relay is not ready: %w", err)
	}
	if _, err = fmt.Fprintln(w, "ready"); err != nil || cfg.FrontListen == "" {
		return err
	}
	hosts, err := cfg.Hosts()
	if err != nil {
		return err
	}
	front, err := settings.Local(address.SMP, "SMP_FRONT_LISTEN", cfg.FrontListen)
	if err != nil {
		return err
	}
	return site.Health(ctx, w, dial, front, hosts)
}

// askForNothing subscribes to a queue that nobody has, and wants to be refused.
func askForNothing(ctx context.Context, relay smp.Server, options client.Options) error {
	c, err := client.Dial(ctx, relay, options)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	nobody := make([]byte, queue.IDSize)
	_, _ = rand.Read(nobody)
	reply, err := c.Do(ctx, client.Request{Key: auth.NewEd25519(), Entity: nobody, Command: smp.SUB{}})
	if err == nil {
		err = reply.Err
	}
	var refused smp.Error
	switch {
	case err == nil:
		return errors.New("it knows a queue that cannot exist")
	case !errors.As(err, &refused):
		return err
	case refused != smp.ErrAuth:
		return errors.New("its database does not answer")
	}
	return nil
}
