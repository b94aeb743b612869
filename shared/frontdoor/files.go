package frontdoor

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/identity"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// Files is the file relay behind the door. The zero value is none.
type Files struct {
	// Hosts are its names.
	Hosts []string
	// Address is where it serves its clients, as host:port.
	Address string
	// Inner is where it takes sessions whose TLS ended at the door, as host:port; empty: it takes none.
	Inner string
}

const (
	// dialTime is what connecting to the file relay may take: it is next door.
	dialTime = 3 * time.Second
	// How often the file relay is looked at, when it was there, and when it was not.
	watchInterval = 15 * time.Second
	retryInterval = 2 * time.Second
	// startTime is for how long it may still be starting when the door opens, before that is told.
	startTime = 15 * time.Second
)

// condition is what is known of the file relay.
type condition int32

const (
	unknown  condition = iota
	away               // it cannot be reached
	apart              // it is there, and has an identity of its own
	together           // it is there, and has the message relay's identity
)

// files is the file relay, as far as the door knows it.
type files struct {
	at          Files
	ctx         context.Context // of the door
	fingerprint [32]byte        // of the message relay
	log         zerolog.Logger
	opened      time.Time
	now         atomic.Int32 // condition
	shared      atomic.Bool  // it had the message relay's identity when it was last seen
}

func newFiles(ctx context.Context, at Files, fingerprint [32]byte, log zerolog.Logger) *files {
	return &files{at: at, ctx: ctx, fingerprint: fingerprint, log: log, opened: time.Now()}
}

// known reports whether there is a file relay.
func (f *files) known() bool { return f.at.Address != "" }

// takesSessions reports whether clients may be its own that speak like those of the message relay until TLS is over.
func (f *files) takesSessions() bool { return f.at.Inner != "" && f.shared.Load() }

// dial connects to the file relay.
func (f *files) dial(ctx context.Context) (net.Conn, error) { return f.connect(ctx, f.at.Address) }

// dialInner connects to where it takes sessions.
func (f *files) dialInner(ctx context.Context) (net.Conn, error) { return f.connect(ctx, f.at.Inner) }

func (f *files) connect(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTime}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		f.is(away, err)
	}
	return conn, err
}

// watch looks at the file relay from time to time, until the door closes.
func (f *files) watch() {
	if !f.known() {
		return
	}
	for {
		interval := watchInterval
		if !f.look() {
			interval = retryInterval
		}
		select {
		case <-f.ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// look finds out about the file relay by a handshake, as a client's that expects the message relay's identity.
func (f *files) look() bool {
	ctx, cancel := context.WithTimeout(f.ctx, dialTime)
	defer cancel()
	conn, err := f.dial(ctx)
	if err != nil {
		return false
	}
	session, err := transport.ClientHandshake(ctx, conn, transport.ClientConfig{
		Fingerprint: f.fingerprint, ALPN: []string{xftp.ALPN},
	})
	switch {
	case err == nil:
		_ = session.Conn.Close()
		f.is(together, nil)
	case errors.Is(err, identity.ErrUnknownCA):
		f.is(apart, nil)
	default:
		f.is(away, err)
		return false
	}
	return true
}

// is notes the file relay's condition, and tells of it when it is new.
func (f *files) is(c condition, cause error) {
	early := c == away && condition(f.now.Load()) == unknown && time.Since(f.opened) < startTime
	if early || f.ctx.Err() != nil {
		return
	}
	if c != away {
		f.shared.Store(c == together)
	}
	before := condition(f.now.Swap(int32(c)))
	if before == c {
		return
	}
	switch c {
	case together:
		f.log.Info().Msg("the file relay is here, with the same identity: all apps reach both relays on one port")
	case apart:
		f.log.Warn().Msg("the file relay is here, with an identity of its own: apps that use port 443 for all servers " +
			"reach only the message relay on it; let both relays use one identity, or give the file relay a port of its own")
	case away:
		f.log.Warn().Str("cause", transport.Safe(cause)).
			Msg("the file relay cannot be reached: its clients are refused, messages go on; see SMP_FILE_RELAY")
	}
}
