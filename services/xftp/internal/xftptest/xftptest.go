// Package xftptest runs a file relay inside a test process, over real TLS: on loopback sockets, or over pipes, which let
// time stand still in a testing/synctest bubble. Native clients and browsers can use it.
package xftptest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/memstore"
	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/transport"
	"sotto/shared/xftp"
)

// Options say what is unusual about a relay.
type Options struct {
	// Config changes the settings from [Defaults]; nil leaves them.
	Config func(*server.Config)
	// Store is where the relay keeps everything; nil: a new memstore with Quota.
	Store server.Store
	// Quota of the memstore, in bytes; 0: unlimited.
	Quota int64
	// Web is the kind of key of the relay's web certificate; empty: it has none.
	Web KeyType
	// Certificate, if set, is asked for the web certificate in place of one of kind Web.
	Certificate func() *tls.Certificate
	// Identity is who the relay is; nil: a new one.
	Identity *identity.Identity
	// Limits of the listener.
	Limits transport.Limits
	// Pipes instead of loopback sockets. A write waits for its reader: nothing is buffered in between.
	Pipes bool
	// Log takes what the relay logs; nil: the log of the test.
	Log *zerolog.Logger
	// Prepare is called with the relay before it accepts connections, at every start.
	Prepare func(*server.Server)
}

// stopTime is how long a relay may take to stop before the test fails.
const stopTime = 20 * time.Second

// Defaults are the settings of a relay in use, with a chunk size more, as upstream's tests have it.
//
// Spec: xftp.md 11.2
// Spec: xftp.md 18
func Defaults() server.Config {
	return server.Config{
		NewFiles:         true,
		ChunkSizes:       []uint32{64 << 10, 128 << 10, 256 << 10, 1 << 20, 4 << 20},
		UploadTimeout:    5 * time.Minute,
		StallTimeout:     time.Minute,
		ExpiryInterval:   2 * time.Hour,
		InactiveTTL:      6 * time.Hour,
		InactiveInterval: time.Hour,
		TLSTimeout:       time.Minute,
		HandshakeTimeout: time.Minute,
		Versions:         xftp.Versions,
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
	web      *Certificate
	listener net.Listener
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	served   chan error
}

// Start starts a relay that stops when the test ends.
func Start(t testing.TB, o Options) *Relay {
	t.Helper()
	r := &Relay{Identity: o.Identity, Store: o.Store, options: o}
	if r.Identity == nil {
		id, err := identity.Create(t.TempDir(), "localhost", time.Now())
		if err != nil {
			t.Fatalf("create identity: %v", err)
		}
		r.Identity = id
	}
	if r.Store == nil {
		r.Store = memstore.New(memstore.Options{Quota: o.Quota})
	}
	if o.Web != "" {
		r.web = NewCertificate(t, o.Web)
	}
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
	r.Server = server.New(cfg, r.Identity, r.certificate(), r.Store, log)
	if r.options.Prepare != nil {
		r.options.Prepare(r.Server)
	}
	s, ln, served := r.Server, r.listener, make(chan error, 1)
	r.served = served
	go func() { served <- s.Serve(ln) }()
}

// certificate is where the relay gets its web certificate from.
func (r *Relay) certificate() func(*tls.ClientHelloInfo) *tls.Certificate {
	switch {
	case r.options.Certificate != nil:
		return func(*tls.ClientHelloInfo) *tls.Certificate { return r.options.Certificate() }
	case r.web != nil:
		return func(*tls.ClientHelloInfo) *tls.Certificate { return &r.web.TLS }
	}
	return nil
}

func (r *Relay) listen(t testing.TB) {
	t.Helper()
	if r.options.Pipes {
		ln := newPipeListener()
		r.listener, r.dial = transport.NewListener(ln, r.options.Limits), ln.dial
		return
	}
	ln, err := transport.Listen(t.Context(), "127.0.0.1:0", r.options.Limits)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	r.listener, r.dial = ln, new(net.Dialer).DialContext
}

// Stop stops the relay, letting requests finish. It may be called more than once.
func (r *Relay) Stop(t testing.TB) {
	t.Helper()
	if r.served == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := r.Server.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if err := <-r.served; err != nil && !errors.Is(err, net.ErrClosed) {
		t.Errorf("serve: %v", err)
	}
	r.served = nil
}

// Restart stops the relay and starts it again, with the same identity and store, on another port.
func (r *Relay) Restart(t testing.TB) {
	t.Helper()
	r.Stop(t)
	r.start(t)
}

// Address is where the relay is, without a password.
func (r *Relay) Address() address.Server {
	fingerprint := r.Identity.Fingerprint()
	server := address.Server{Scheme: address.XFTP, Fingerprint: fingerprint[:], Hosts: []address.Host{"127.0.0.1"}}
	if tcp, ok := r.listener.Addr().(*net.TCPAddr); ok {
		server.Port = strconv.Itoa(tcp.Port)
	}
	return server
}

// Dialer opens connections to the relay, whatever the address.
func (r *Relay) Dialer(ctx context.Context, _, _ string) (net.Conn, error) {
	return r.dial(ctx, "tcp", r.listener.Addr().String())
}

// Connect connects a native client that the test closes. Fields of o that matter to the connection are filled in.
func (r *Relay) Connect(t testing.TB, o client.Options) *client.Client {
	t.Helper()
	o.Dialer = r.Dialer
	c, err := client.Dial(t.Context(), r.Address(), o)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// Browser is the part of a client's options that makes it a browser of this relay, which needs a web certificate.
func (r *Relay) Browser() *client.Web { return &client.Web{ServerName: WebName, Roots: r.web.Roots} }

// Web is the relay's web certificate, nil if it has none of its own.
func (r *Relay) Web() *Certificate { return r.web }
