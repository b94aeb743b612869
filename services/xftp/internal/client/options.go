package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"time"

	"sotto/shared/address"
	"sotto/shared/identity"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// Defaults of [Options]. Apps wait as long to connect and for an answer; the time they give a chunk, 5 ms per KiB more,
// would cut off lines slower than 50 KB/s, so a transfer here may take long, but must not stop.
//
// Spec: xftp.md 12.5
const (
	// DefaultConnectTimeout bounds dialling, from the name lookup to the end of the handshake.
	DefaultConnectTimeout = 45 * time.Second
	// DefaultRequestTimeout bounds the wait for the answer to a command.
	DefaultRequestTimeout = 30 * time.Second
	// DefaultStallTimeout bounds the time in which a transfer does not move. After the last byte of an upload a
	// whole window may be on its way yet.
	DefaultStallTimeout = time.Minute
	// DefaultTransferTimeout bounds the transfer of one chunk; relays give an upload 5 minutes.
	DefaultTransferTimeout = 10 * time.Minute
)

// Bounds of HTTP/2, in bytes.
const (
	// A stream's window holds the whole answer to a download of the largest size, so that the round trip does not limit
	// it.
	streamWindow     = 4<<20 + 64<<10
	connectionWindow = 16 << 20
	// maxFrame is the payload of the largest frame that the relay may send: with its header it fills two TLS records.
	maxFrame = 2*(16<<10) - 9
)

// Options say how to connect. The zero value is an app of the newest version.
type Options struct {
	// Versions to choose from; zero: all that package xftp knows. The highest common version is used.
	Versions wire.VersionRange
	// ALPN protocols to offer. Nil: xftp/1, or h2 for a web client. Not nil but empty: none, as very old clients,
	// which means version 1 and no handshake. Spec: xftp.md 3.3
	ALPN []string
	// MinTLS and MaxTLS bound the version of TLS; 0: 1.2 and 1.3.
	MinTLS, MaxTLS uint16
	// Password is the relay's password for new chunks; nil: the one in the address, if any.
	Password address.Password
	// Web makes the client behave as a browser. Spec: xftp.md 5.3
	Web *Web
	// Dialer opens the TCP connection; nil: a [net.Dialer].
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// Clock is the time that certificates are judged by; nil: [time.Now].
	Clock func() time.Time
	// OnStage, if set, is called after each completed step of dialling, on the dialling goroutine.
	OnStage func(Stage)
	// Bounds in time; 0: the defaults above.
	ConnectTimeout, RequestTimeout, StallTimeout, TransferTimeout time.Duration
}

// Web is what a browser has in place of the fingerprint check of TLS: a host name, and authorities that vouch for it.
type Web struct {
	// ServerName is sent as SNI and must be in the web certificate.
	ServerName string
	// Roots are the authorities; nil: those of the system.
	Roots *x509.CertPool
}

// withDefaults fills in what was left to this package.
func (o Options) withDefaults(server *address.Server) Options {
	if o.Versions == (wire.VersionRange{}) {
		o.Versions = xftp.Versions
	}
	switch {
	case o.ALPN != nil:
	case o.Web != nil:
		o.ALPN = []string{xftp.ALPNHTTP2}
	default:
		o.ALPN = []string{xftp.ALPN}
	}
	if o.Password == nil {
		o.Password = server.Password
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
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.ConnectTimeout, DefaultConnectTimeout},
		{&o.RequestTimeout, DefaultRequestTimeout},
		{&o.StallTimeout, DefaultStallTimeout},
		{&o.TransferTimeout, DefaultTransferTimeout},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return o
}

// verify checks a web certificate as a browser does. crypto/tls checked that the peer has its key.
func (w *Web) verify(chain [][]byte, now time.Time) error {
	pool := x509.NewCertPool()
	var leaf *x509.Certificate
	for _, der := range chain {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return identity.ErrCertificate
		}
		if leaf == nil {
			leaf = cert
			continue
		}
		pool.AddCert(cert)
	}
	if leaf == nil {
		return identity.ErrChainLength
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		DNSName: w.ServerName, Roots: w.Roots, Intermediates: pool, CurrentTime: now,
	})
	if err != nil {
		return &tls.CertificateVerificationError{Err: err}
	}
	return nil
}
