// Package smptest runs a relay and its clients inside one test process, over real TLS: on loopback sockets, or over
// pipes, which let time stand still in a testing/synctest bubble. It also runs conversations, text files that say who
// sends what and what arrives.
package smptest

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/memstore"
	"sotto/shared/identity"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Options say what is unusual about a relay.
type Options struct {
	// Config changes the settings from [Defaults]; nil leaves them.
	Config func(*server.Config)
	// Store is where the relay keeps everything; nil: a new memstore.
	Store server.Store
	// Quota of the memstore; 0: that of [DefaultQuota].
	Quota int
	// Pipes instead of loopback sockets. A write waits for its reader: nothing is buffered in between.
	Pipes bool
	// Limits of the listener, when there are sockets.
	Limits transport.Limits
	// Log takes what the relay logs; nil: the log of the test.
	Log *zerolog.Logger
	// Prepare is called with the relay before it accepts connections, at every start.
	Prepare func(*server.Server)
}

// DefaultQuota is that of relays in use. Spec: smp.md 12
const DefaultQuota = 128

// stopTime is how long a relay may take to stop before the test fails.
const stopTime = 20 * time.Second

// Defaults are the settings of a relay in use, except that nothing expires. Spec: smp.md 12
func Defaults() server.Config {
	return server.Config{
		NewQueues:            true,
		Versions:             wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion},
		EndInterval:          15 * time.Second,
		NotificationInterval: 1500 * time.Millisecond,
		NotificationTTL:      24 * time.Hour,
		InactiveTTL:          6 * time.Hour,
		InactiveInterval:     time.Hour,
		TLSTimeout:           time.Minute,
		HandshakeTimeout:     2 * time.Minute,
		StallTimeout:         2 * time.Minute,
		ServiceCertificates:  true,
		ConnectionBacklog:    128,
	}
}

// Relay is a relay in this process.
type Relay struct {
	// Server is the present one; Restart replaces it.
	Server *server.Server
	// Identity is who the relay is, also after a Restart.
	Identity *identity.Identity
	// Store is what the relay was started with.
	Store server.Store

	options  Options
	listener net.Listener
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	served   chan error
}

// Start starts a relay that stops when the test ends.
func Start(t testing.TB, o Options) *Relay {
	t.Helper()
	id, err := identity.Create(t.TempDir(), "localhost", time.Now())
	if err != nil {
		t.Fatalf("create identity: %v", err)
	}
	if o.Store == nil {
		if o.Quota == 0 {
			o.Quota = DefaultQuota
		}
		o.Store = memstore.New(o.Quota)
	}
	r := &Relay{Identity: id, Store: o.Store, options: o}
	r.start(t)
	t.Cleanup(func() { r.Stop(t) })
	return r
}

func (r *Relay) start(t testing.TB) {
	t.Helper()
	cfg := Defaults()
	if r.options.Config != nil {
		r.options.Config(&cfg)
	}
	log := zerolog.New(zerolog.NewTestWriter(t))
	if r.options.Log != nil {
		log = *r.options.Log
	}
	r.listen(t)
	r.Server = server.New(cfg, r.Identity, r.Store, log)
	if r.options.Prepare != nil {
		r.options.Prepare(r.Server)
	}
	s, ln, served := r.Server, r.listener, make(chan error, 1)
	r.served = served
	go func() { served <- s.Serve(ln) }()
}

func (r *Relay) listen(t testing.TB) {
	t.Helper()
	if r.options.Pipes {
		ln := newPipeListener()
		r.listener, r.dial = ln, ln.dial
		return
	}
	ln, err := transport.Listen(context.Background(), "127.0.0.1:0", r.options.Limits)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	r.listener, r.dial = ln, new(net.Dialer).DialContext
}

// Stop closes all connections and waits until the relay's goroutines are gone. It may be called more than once.
func (r *Relay) Stop(t testing.TB) {
	t.Helper()
	if r.served == nil {
		return
	}
	_ = r.listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := r.Server.Shutdown(ctx); err != nil {
		t.Errorf("relay did not stop: %v", err)
	}
	if err := <-r.served; err != nil {
		t.Errorf("serve: %v", err)
	}
	r.served = nil
}

// Restart stops the relay and starts it again with the same identity and store. Clients have to connect anew.
func (r *Relay) Restart(t testing.TB) {
	t.Helper()
	r.Stop(t)
	r.start(t)
}

// Address is where clients find the relay.
func (r *Relay) Address() smp.Server {
	fingerprint := r.Identity.Fingerprint()
	s := smp.Server{Fingerprint: fingerprint[:], Hosts: []smp.Host{"127.0.0.1"}, Port: "1"}
	if tcp, ok := r.listener.Addr().(*net.TCPAddr); ok {
		_, s.Port, _ = net.SplitHostPort(tcp.String())
	}
	return s
}

// Dial connects a client; failure ends the test. The connection is closed when the test ends.
func (r *Relay) Dial(t testing.TB, o client.Options) *client.Conn {
	t.Helper()
	c, err := r.TryDial(o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TryDial is Dial for connections that may be refused.
func (r *Relay) TryDial(o client.Options) (*client.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if o.Dialer == nil {
		o.Dialer = r.dial
	}
	return client.DialConn(ctx, r.Address(), o)
}

// At returns options for a client that speaks exactly version v.
func At(v wire.Version) client.Options {
	return client.Options{Versions: wire.VersionRange{Min: v, Max: v}}
}

// Raw opens a connection without TLS or hello, for tests that break them.
func (r *Relay) Raw(t testing.TB) net.Conn {
	t.Helper()
	address, err := client.Address(r.Address())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.dial(context.Background(), "tcp", address)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = raw.Close() })
	return raw
}

// errRefused is returned by dial after the listener was closed.
var errRefused = errors.New("connection refused")
