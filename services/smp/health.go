package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/queue"
	"sotto/shared/address"
	"sotto/shared/auth"
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
	id, err := loadIdentity(cfg)
	if err != nil {
		return err
	}
	fingerprint := id.Fingerprint()
	relay := smp.Server{Fingerprint: fingerprint[:]}
	if relay.Hosts, relay.Port, err = localEnd(cfg.Listen[0]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := askForNothing(ctx, relay); err != nil {
		return fmt.Errorf("the relay is not ready: %w", err)
	}
	_, err = fmt.Fprintln(w, "ready")
	return err
}

// localEnd is where to reach a listener of this machine.
func localEnd(listen string) ([]smp.Host, string, error) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(listen))
	if err != nil {
		return nil, "", err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "localhost"
	}
	local, ok := address.ParseHost(host)
	if !ok {
		return nil, "", badSetting("SMP_LISTEN has a host that cannot be connected to")
	}
	return []smp.Host{local}, port, nil
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
