package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"

	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/transport"
)

// Dial connects to the relay, checks that it is the one of the address, and agrees on a version. ctx bounds dialling
// only, which also ends after [Options.ConnectTimeout]. Errors are [*DialError], or [ErrNoHost].
//
// Spec: xftp.md 5
func Dial(ctx context.Context, server address.Server, options Options) (*Client, error) {
	options = options.withDefaults(&server)
	ctx, cancel := context.WithTimeoutCause(ctx, options.ConnectTimeout, ErrTimeout)
	defer cancel()
	conn, err := dialConn(ctx, &server, options)
	if err != nil {
		return nil, err
	}
	c, err := conn.Handshake(ctx)
	if err != nil {
		_ = conn.Close()
		return nil, dialError(ctx, StageHello, err)
	}
	options.OnStage(StageHello)
	return c, nil
}

// DialConn is Dial up to the end of TLS: the caller makes the requests, those of the handshake too.
func DialConn(ctx context.Context, server address.Server, options Options) (*Conn, error) {
	options = options.withDefaults(&server)
	ctx, cancel := context.WithTimeoutCause(ctx, options.ConnectTimeout, ErrTimeout)
	defer cancel()
	return dialConn(ctx, &server, options)
}

func dialConn(ctx context.Context, server *address.Server, options Options) (*Conn, error) {
	host, port, err := place(server)
	if err != nil {
		return nil, err
	}
	if len(server.Fingerprint) != sha256.Size {
		return nil, dialError(ctx, StageConnect, identity.ErrUnknownCA)
	}
	fingerprint := [sha256.Size]byte(server.Fingerprint)
	raw, err := options.Dialer(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, dialError(ctx, StageConnect, err)
	}
	options.OnStage(StageConnect)
	session, err := transport.ClientHandshake(ctx, raw, tlsConfig(fingerprint, options))
	if err != nil {
		return nil, dialError(ctx, StageTLS, err)
	}
	conn, err := newConn(session, host, fingerprint, options)
	if err == nil && len(options.ALPN) > 0 && session.ALPN == "" {
		err = ErrALPN
	}
	if err != nil {
		_ = session.Conn.Close()
		return nil, dialError(ctx, StageTLS, err)
	}
	options.OnStage(StageTLS)
	return conn, nil
}

// tlsConfig is what the TLS handshake has to check.
func tlsConfig(fingerprint [sha256.Size]byte, options Options) transport.ClientConfig {
	cfg := transport.ClientConfig{
		Fingerprint: fingerprint, ALPN: options.ALPN, Now: options.Clock,
		MinVersion: options.MinTLS, MaxVersion: options.MaxTLS,
	}
	if web := options.Web; web != nil {
		cfg.ServerName = web.ServerName
		cfg.Verify = func(chain [][]byte) error { return web.verify(chain, options.Clock()) }
	}
	return cfg
}

// dialError prefers the context's reason over the I/O error that it caused. The connection has the same deadline, and may
// notice it first.
func dialError(ctx context.Context, stage Stage, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ErrTimeout
	}
	return &DialError{Stage: stage, Err: err}
}

// Address returns the host and port to connect to: the first host that is not an onion service, as apps without Tor do.
// The error is [ErrNoHost].
//
// Spec: xftp.md 2.3
func Address(server address.Server) (string, error) {
	host, port, err := place(&server)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, port), nil
}

func place(server *address.Server) (host, port string, err error) {
	if port = server.Port; port == "" {
		port = address.XFTP.DefaultPort()
	}
	for _, h := range server.Hosts {
		if h.Kind() != address.Onion {
			return string(h), port, nil
		}
	}
	return "", "", ErrNoHost
}
