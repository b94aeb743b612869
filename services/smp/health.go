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
	"sotto/shared/settings"
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
	if err := askForNothing(ctx, relay); err != nil {
		return fmt.Errorf("the relay is not ready: %w", err)
	}
	_, err = fmt.Fprintln(w, "ready")
	return err
}

// askForNothing subscribes to a queue that nobody has, and wants to be refused.
func askForNothing(ctx context.Context, relay smp.Server) error {
	c, err := client.Dial(ctx, relay, client.Options{})
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
