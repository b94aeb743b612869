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
	return listen(ctx, setting, addresses, limits, transport.Listen)
}

// ListenBehind is Listen for ports whose connections come from a proxy, each with a header of the PROXY protocol, if
// behind says so.
func ListenBehind(ctx context.Context, behind bool, setting string, addresses []string, limits transport.Limits) (Listeners, error) {
	if !behind {
		return Listen(ctx, setting, addresses, limits)
	}
	return listen(ctx, setting, addresses, limits, transport.ListenBehindProxy)
}

// opener opens a port.
type opener func(ctx context.Context, address string, limits transport.Limits) (*transport.Listener, error)

func listen(ctx context.Context, setting string, addresses []string, limits transport.Limits, open opener) (Listeners, error) {
	var all Listeners
	for _, address := range addresses {
		ln, err := open(ctx, strings.TrimSpace(address), limits)
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

// Part is what a program serves beside its relay: a front door, web pages.
type Part interface {
	// Serve serves until Shutdown, or until that fails for good.
	Serve() error
	// Shutdown lets connections finish what is at hand, until ctx ends.
	Shutdown(context.Context) error
}

// Readiness tells those who ask whether a program is ready for clients.
type Readiness interface {
	// Serving is called when all is served.
	Serving()
	// Draining is called when the program begins to stop, before it closes anything.
	Draining()
}

// Program is what is served, and where.
type Program struct {
	Relay     Relay
	Listeners Listeners // of the relay
	Parts     []Part
	Lost      <-chan struct{} // closed when the relay must not go on
	ErrLost   error           // tells why
	Readiness Readiness       // nil: nobody asks
	Log       zerolog.Logger
}

// Serve serves until ctx ends, something fails, or Lost is closed. Then it closes the listeners and lets connections
// finish, within bounds.
func (p Program) Serve(ctx context.Context) error {
	failed := make(chan error, len(p.Listeners)+len(p.Parts))
	for _, ln := range p.Listeners {
		go func() { failed <- p.Relay.Serve(ln) }()
	}
	for _, part := range p.Parts {
		go func() { failed <- part.Serve() }()
	}
	p.ready(true)
	p.told(Ready())
	watched, unwatch := context.WithCancel(ctx)
	go func() { p.told(Watch(watched, func() { p.Relay.Connections() })) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-p.Lost:
		err = p.ErrLost
	}
	p.ready(false)
	unwatch()
	p.told(Stopping())
	p.Listeners.Close()
	p.drain()
	return err
}

// ready tells those who ask whether clients are served.
func (p Program) ready(serving bool) {
	switch {
	case p.Readiness == nil:
	case serving:
		p.Readiness.Serving()
	default:
		p.Readiness.Draining()
	}
}

// told reports what systemd could not be told: it will take the program for one that hangs.
func (p Program) told(err error) {
	if err != nil {
		p.Log.Warn().Err(err).Msg("systemd could not be told")
	}
}

// drain ends all at the same time.
func (p Program) drain() {
	p.Log.Info().Int("connections", p.Relay.Connections()).Msg("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	cut := make(chan error, 1+len(p.Parts))
	go func() { cut <- p.Relay.Shutdown(ctx) }()
	for _, part := range p.Parts {
		go func() { cut <- part.Shutdown(ctx) }()
	}
	var errs []error
	for range cap(cut) {
		errs = append(errs, <-cut)
	}
	if errors.Join(errs...) != nil {
		p.Log.Warn().Msg("some connections did not finish in time and were cut off")
	}
	p.Log.Info().Msg("stopped")
}
