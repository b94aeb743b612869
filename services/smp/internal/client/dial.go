package client

import (
	"context"
	"crypto/sha256"
	"net"
	"time"

	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Defaults of [Options].
const (
	// DefaultEventBuffer is the number of events that wait for their consumer, at most 16 KB each.
	DefaultEventBuffer = 1024
	// DefaultEventPatience is how long a full buffer may hold up the connection.
	DefaultEventPatience = 10 * time.Second
)

// Options say how to connect. The zero value is an app of the newest version.
type Options struct {
	// Versions to choose from; zero: all that package smp knows. The highest common version is used.
	Versions wire.VersionRange
	// ALPN protocols to offer. Nil: smp/1. Not nil but empty: none, as very old clients, which makes the relay
	// speak version 6.
	ALPN []string
	// BasicAuth is the relay's password for new queues; nil: the one in the address, if any.
	BasicAuth smp.BasicAuth
	// NoKey leaves the X25519 key out of the client hello, so that blocks are not encrypted inside TLS.
	NoKey bool
	// ProxyServer says in the hello that this is a relay acting as proxy: no block encryption, and at most
	// version 10 with a relay that does not know this flag. Spec: smp.md 4.3
	ProxyServer bool
	// Service makes the connection that of a service, from version 16 on; nil: an ordinary one.
	Service *Service
	// Dialer opens the TCP connection; nil: a [net.Dialer].
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// Clock is the time that certificates are judged by; nil: [time.Now].
	Clock func() time.Time
	// OnStage, if set, is called after each completed step of dialling, on the dialling goroutine.
	OnStage func(Stage)
	// EventBuffer and EventPatience bound what waits on [Client.Events]; zero: the defaults above.
	EventBuffer   int
	EventPatience time.Duration
}

// withDefaults fills in what was left to this package.
func (o Options) withDefaults(server *smp.Server) Options {
	if o.Versions == (wire.VersionRange{}) {
		o.Versions = wire.VersionRange{Min: smp.MinVersion, Max: smp.MaxVersion}
	}
	if o.ALPN == nil {
		o.ALPN = []string{transport.ALPN}
	}
	if o.BasicAuth == nil {
		o.BasicAuth = server.Password
	}
	if o.Dialer == nil {
		o.Dialer = new(net.Dialer).DialContext
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.OnStage == nil {
		o.OnStage = func(Stage) {}
	}
	if o.EventBuffer <= 0 {
		o.EventBuffer = DefaultEventBuffer
	}
	if o.EventPatience <= 0 {
		o.EventPatience = DefaultEventPatience
	}
	return o
}

// Dial connects to the relay, checks that it is the one of the address, and agrees on a version. ctx bounds dialling
// only. Errors are [*DialError], or [ErrNoHost].
//
// Spec: smp.md 4
func Dial(ctx context.Context, server smp.Server, options Options) (*Client, error) {
	conn, err := DialConn(ctx, server, options)
	if err != nil {
		return nil, err
	}
	return New(conn), nil
}

// DialConn is Dial without the machinery of a [Client]: the caller reads and writes blocks.
func DialConn(ctx context.Context, server smp.Server, options Options) (*Conn, error) {
	options = options.withDefaults(&server)
	address, err := Address(server)
	if err != nil {
		return nil, err
	}
	if len(server.Fingerprint) != sha256.Size {
		return nil, dialError(ctx, StageConnect, identity.ErrUnknownCA)
	}
	fingerprint := [sha256.Size]byte(server.Fingerprint)
	raw, err := options.Dialer(ctx, "tcp", address)
	if err != nil {
		return nil, dialError(ctx, StageConnect, err)
	}
	options.OnStage(StageConnect)
	session, err := transport.ClientHandshake(ctx, raw, transport.ClientConfig{
		Fingerprint: fingerprint, ALPN: options.ALPN, Now: options.Clock,
	})
	if err != nil {
		return nil, dialError(ctx, StageTLS, err)
	}
	options.OnStage(StageTLS)
	c := &Conn{session: session, blocks: transport.NewBlockConn(session.Conn), options: options}
	if err := c.handshake(ctx, fingerprint); err != nil {
		_ = session.Conn.Close()
		return nil, dialError(ctx, StageHello, err)
	}
	options.OnStage(StageHello)
	return c, nil
}

// dialError prefers the context's reason over the I/O error that it caused.
func dialError(ctx context.Context, stage Stage, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return &DialError{Stage: stage, Err: err}
}

// Address returns the host and port to connect to: the first host that is not an onion service, as apps without Tor
// and relays do. The error is [ErrNoHost].
//
// Spec: smp.md 11.2
func Address(server smp.Server) (string, error) {
	port := server.Port
	if port == "" {
		port = address.SMP.DefaultPort()
	}
	for _, host := range server.Hosts {
		if host.Kind() != address.Onion {
			return net.JoinHostPort(string(host), port), nil
		}
	}
	return "", ErrNoHost
}
