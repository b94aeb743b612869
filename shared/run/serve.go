package run

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/settings"
	"sotto/shared/transport"
)

// drainTime is how long connections may take to finish what is at hand when the relay stops. With what else there is to
// do it fits the ten seconds that containers get.
const drainTime = 8 * time.Second

// Listeners are the ports that a relay serves on.
type Listeners []net.Listener

// Listen opens all listeners, before anything else is started, so that a port in use is said at once. The addresses come
// from this setting, which errors name.
func Listen(ctx context.Context, setting string, addresses []string, limits transport.Limits) (Listeners, error) {
	var all Listeners
	for _, address := range addresses {
		ln, err := transport.Listen(ctx, strings.TrimSpace(address), limits)
		if err != nil {
			all.Close()
			return nil, settings.Bad("%s: cannot listen on %s: %v", setting, strings.TrimSpace(address), errors.Unwrap(err))
		}
		all = append(all, ln)
	}
	return all, nil
}

// Close closes all of them. It may be called more than once.
func (l Listeners) Close() {
	for _, ln := range l {
		_ = ln.Close()
	}
}

// String lists where they listen.
func (l Listeners) String() string {
	var on []string
	for _, ln := range l {
		on = append(on, ln.Addr().String())
	}
	return strings.Join(on, ", ")
}

// Relay is what a program serves.
type Relay interface {
	// Serve accepts connections until Shutdown, or until accepting fails for good.
	Serve(net.Listener) error
	// Connections returns how many clients are connected.
	Connections() int
	// Shutdown lets connections finish what is at hand, until ctx ends.
	Shutdown(context.Context) error
}

// Serve runs the relay on its listeners until ctx ends, a listener fails, or lost is closed, which is told as errLost.
// Then it closes the listeners and lets connections finish, within bounds.
func Serve(ctx context.Context, relay Relay, listeners Listeners, lost <-chan struct{}, errLost error, log zerolog.Logger) error {
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { failed <- relay.Serve(ln) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-lost:
		err = errLost
	}
	listeners.Close()
	drain(relay, log)
	return err
}

func drain(relay Relay, log zerolog.Logger) {
	log.Info().Int("connections", relay.Connections()).Msg("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := relay.Shutdown(ctx); err != nil {
		log.Warn().Msg("some connections did not finish in time and were cut off")
	}
	log.Info().Msg("stopped")
}
