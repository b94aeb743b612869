// Package proxy connects this relay to others, so that clients can send to queues there without showing their address to
// that relay: one session with each relay that clients have asked for, which all of them share.
//
// Destinations are addresses that strangers have typed. So the network behind this relay is out of reach for them, see
// [public]; whatever a destination sends or fails to send costs only its own session; and everything here is bounded in
// number and time. No destination is ever logged, or named in an error.
//
// Spec: smp.md 11
package proxy

import (
	"context"
	"crypto/sha256"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"sotto/shared/count"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Defaults of [Options].
const (
	// DefaultConnectTimeout bounds connecting to a relay, hellos included. Spec: smp.md 11.7
	DefaultConnectTimeout = 45 * time.Second
	// DefaultResponseTimeout bounds the wait for the answer to one forwarded command. Spec: smp.md 11.7
	DefaultResponseTimeout = 30 * time.Second
	// DefaultErrorTTL is how long a relay that could not be connected to is not tried again. Spec: smp.md 11.7
	DefaultErrorTTL = 30 * time.Second
	// DefaultIdleTimeout is how long a session without use is kept: senders come back within minutes or not for hours, and
	// another PRXY brings a session back.
	DefaultIdleTimeout = 15 * time.Minute
	// DefaultMaxSessions is the number of relays connected to at a time, at about 30 KB each. There are some hundred public
	// relays.
	DefaultMaxSessions = 1000
)

const (
	// maxAttempts bounds the relays that are being connected to, which cost a socket and a TLS handshake each. One more ends
	// the oldest, so that destinations that accept and then say nothing do not keep others out.
	maxAttempts = 256
	// maxPerPlace bounds the sessions with one host, or network of 64 bits, so that somebody who has one, and as many names
	// and fingerprints for it as there are numbers, does not push everybody else's sessions out. It leaves room for a
	// provider's machine with many relays.
	maxPerPlace = 32
	// maxErrors bounds the failures that are remembered, of some 200 bytes each; the oldest is forgotten first.
	maxErrors = 8192
)

// Options say how relays are connected to. Zero values are the defaults above, or what the field says.
type Options struct {
	ConnectTimeout  time.Duration
	ResponseTimeout time.Duration
	ErrorTTL        time.Duration
	IdleTimeout     time.Duration
	MaxSessions     int
	// Versions this relay speaks with others; zero: all that package smp knows.
	Versions wire.VersionRange
	// Domains are this operator's own, whose relays are counted apart.
	Domains []string
	// Allow lists the hosts, or domains with all in them, that may be connected to; empty: all.
	Allow []string
	// Ports that may be connected to; empty: all.
	Ports []PortRange
	// AllowPrivate lets destinations be in networks that are not the public one.
	AllowPrivate bool
	// Socks is the host:port of a SOCKS5 server, without which onion hosts are refused.
	Socks string
	// SocksAll connects to all relays through it, not to onion hosts alone.
	SocksAll bool
	Log      zerolog.Logger

	// Resolver looks up names; nil: that of the system.
	Resolver *net.Resolver
	// Now is the clock of certificates and of remembered errors; nil: [time.Now].
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	for _, d := range []struct{ value, preset *time.Duration }{
		{&o.ConnectTimeout, new(DefaultConnectTimeout)},
		{&o.ResponseTimeout, new(DefaultResponseTimeout)},
		{&o.ErrorTTL, new(DefaultErrorTTL)},
		{&o.IdleTimeout, new(DefaultIdleTimeout)},
	} {
		if *d.value <= 0 {
			*d.value = *d.preset
		}
	}
	if o.MaxSessions <= 0 {
		o.MaxSessions = DefaultMaxSessions
	}
	if o.Versions == (wire.VersionRange{}) {
		o.Versions = wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// relayKey stands for a server as it was asked for. A hash takes the same room for all, and no list of destinations is kept.
type relayKey [sha256.Size]byte

func keyOf(server smp.Server) relayKey { return sha256.Sum256(server.AppendServer(nil)) }

// Relays are the sessions with other relays.
type Relays struct {
	options Options
	dialer  *dialer
	counts  Counts[atomicCount]

	ctx   context.Context // of all attempts
	stop  context.CancelFunc
	tasks sync.WaitGroup // attempts, and readers of sessions

	mu       sync.Mutex
	closed   bool
	known    map[relayKey]*attempt // running, connected, or failed and remembered
	running  []*attempt            // the oldest first
	failed   []*attempt            // in known, the oldest first
	sessions map[string]*Session   // by session id
}

// New returns no sessions yet. They are made when they are asked for.
func New(options Options) (*Relays, error) {
	options = options.withDefaults()
	d, err := newDialer(options)
	if err != nil {
		return nil, err
	}
	r := &Relays{
		options: options, dialer: d, known: make(map[relayKey]*attempt), sessions: make(map[string]*Session),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r, nil
}

// Session returns the session with this id, nil if there is none, or no longer.
//
// Spec: smp.md 11.4
func (r *Relays) Session(id []byte) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[string(id)]
}

// Stats returns what was counted, and how many sessions there are.
func (r *Relays) Stats() Stats {
	var s Stats
	count.Load(&s.Counts, &r.counts)
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Sessions = len(r.sessions)
	return s
}

// Close ends all sessions and attempts, and waits for them. What is asked for later fails.
func (r *Relays) Close() {
	r.mu.Lock()
	r.closed = true
	all := make([]*Session, 0, len(r.sessions))
	for _, s := range r.sessions {
		all = append(all, s)
	}
	r.mu.Unlock()
	r.stop()
	for _, s := range all {
		s.end()
	}
	r.tasks.Wait()
}
