package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"time"

	"sotto/shared/identity"
	"sotto/shared/tls13"
)

// HandshakeTimeout bounds a TLS handshake, from accepting or dialling the connection to its end, if the context does
// not bound it more tightly.
//
// Spec: smp.md 3.8
const HandshakeTimeout = 60 * time.Second

// Session is a connection after its TLS handshake. It prints as a placeholder.
type Session struct {
	// Conn carries what is inside TLS, without deadlines: a *tls.Conn or *tls13.Conn, or, if the session came with its
	// connection, what is left of that.
	Conn net.Conn
	// ID is the session id: the client's Finished message, 32 bytes under TLS 1.3 with a SHA-256 suite, 48 with
	// SHA-384, 12 under TLS 1.2. Both ends have the same.
	//
	// Spec: smp.md 3.4
	ID []byte
	// ALPN is the protocol negotiated, or "" if the client offered none.
	ALPN string
	// SNI tells that the client named a host, which on a shared port means that it wants the web pages.
	SNI bool
	// Chain is the relay's certificate chain in DER, leaf first. Only a client has it.
	Chain [][]byte
	// ClientChain is the client's certificate chain in DER, leaf first, whose leaf's key the client has proven to hold.
	// Only a relay has it, and only where its TLS asks clients for certificates; nil if the client has shown none.
	//
	// Spec: smp.md 3.7
	ClientChain [][]byte
}

// TLS returns the state of Conn's TLS; it is empty if that ended before the relay. Of a *tls13.Conn there is what both
// packages call the same, and no certificates.
func (s *Session) TLS() tls.ConnectionState {
	switch conn := s.Conn.(type) {
	case *tls.Conn:
		return conn.ConnectionState()
	case *tls13.Conn:
		state := conn.State()
		return tls.ConnectionState{
			Version: tls.VersionTLS13, HandshakeComplete: true, CipherSuite: state.Suite, CurveID: tls.X25519,
			NegotiatedProtocol: state.ALPN, ServerName: state.ServerName, HelloRetryRequest: state.Retried,
		}
	}
	return tls.ConnectionState{}
}

// CloseWrite tells the peer that nothing more will come. What it sends can still be read.
func (s *Session) CloseWrite() error {
	return CloseWrite(s.Conn)
}

// Abort closes the connection without TLS's farewell, which may wait for a peer that does not read.
func (s *Session) Abort() error {
	if conn, ok := s.Conn.(interface{ NetConn() net.Conn }); ok {
		return conn.NetConn().Close()
	}
	return s.Conn.Close()
}

// Format prints a placeholder, whatever the verb.
func (s *Session) Format(f fmt.State, _ rune) {
	io.WriteString(f, "[session]")
}

// MarshalText returns a placeholder.
func (s *Session) MarshalText() ([]byte, error) {
	return []byte("[session]"), nil
}

// ClientConfig is what a client knows about the relay it connects to.
type ClientConfig struct {
	// Fingerprint is that of the relay's address.
	Fingerprint [32]byte
	// ALPN lists the protocols to offer, nil for none, which makes the relay use version 6.
	ALPN []string
	// ServerName is sent as SNI. Apps and relays leave it empty.
	ServerName string
	// Now is the clock for the dates of certificates, nil for time.Now.
	Now func() time.Time
	// MinVersion and MaxVersion bound the version of TLS; 0: those of the profile, 1.2 and 1.3.
	MinVersion, MaxVersion uint16
	// Verify, if set, checks the peer's chain, in DER, leaf first, in place of the check against Fingerprint: for
	// a port that shows its web certificate to those who send SNI.
	Verify func(chain [][]byte) error
}

// Secured is a connection whose TLS has ended before it gets to the relay, at a front door.
type Secured interface {
	net.Conn
	// Session returns the session of the handshake that was made for the relay, and may read the connection's beginning
	// for it. It ends when ctx ends.
	Session(ctx context.Context) (*Session, error)
}

// Established is told of a connection that wraps one of a [Listener] when its handshake is over.
type Established interface {
	Established()
}

// ServerHandshake runs the relay's side of TLS on raw and derives the session id. It ends when ctx ends, and within
// [HandshakeTimeout]. On success the connection has no deadline; on failure raw is closed. Errors may name the peer's
// address: log [Safe] of them. If raw came from a [Listener], it stops counting as a handshake either way. If it is
// [Secured], its session is that which it brings.
//
// Spec: smp.md 3.4
func ServerHandshake(ctx context.Context, raw net.Conn, cfg *tls.Config) (*Session, error) {
	return establish(ctx, raw, func(ctx context.Context, raw net.Conn) (*Session, error) { return tlsHandshake(ctx, raw, cfg) })
}

// establish makes the relay's side of a handshake by shake, unless the session comes with the connection.
func establish(
	ctx context.Context, raw net.Conn, shake func(context.Context, net.Conn) (*Session, error),
) (s *Session, err error) {
	if secured, ok := raw.(Secured); ok {
		if s, err = secured.Session(ctx); err != nil {
			raw.Close()
		}
	} else {
		s, err = shake(ctx, raw)
	}
	if err != nil {
		return nil, err
	}
	if c, ok := raw.(Established); ok {
		c.Established()
	}
	return s, nil
}

// tlsHandshake is the relay's side of a handshake by crypto/tls.
func tlsHandshake(ctx context.Context, raw net.Conn, cfg *tls.Config) (*Session, error) {
	b := newBinding(raw, clientReads)
	return shake(ctx, b, tls.Server(b, b.serverConfig(cfg)))
}

// ClientHandshake runs a client's side of TLS on raw, checks the relay's chain and derives the session id. Bounds and
// failures are those of [ServerHandshake]; a chain that is refused gives an error of package identity.
//
// Spec: smp.md 3.1
// Spec: smp.md 3.3
func ClientHandshake(ctx context.Context, raw net.Conn, cfg ClientConfig) (*Session, error) {
	now := cfg.Now
	if now == nil {
		now = time.Now
	}
	config := clientConfig(cfg.ALPN)
	config.ServerName = cfg.ServerName
	if cfg.MinVersion != 0 {
		config.MinVersion = cfg.MinVersion
	}
	if cfg.MaxVersion != 0 {
		config.MaxVersion = cfg.MaxVersion
	}
	verify := cfg.Verify
	if verify == nil {
		verify = func(chain [][]byte) error {
			_, err := identity.VerifyChain(chain, cfg.Fingerprint, now())
			return err
		}
	}
	config.VerifyConnection = func(state tls.ConnectionState) error { return verify(rawChain(state.PeerCertificates)) }
	return clientHandshake(ctx, raw, config)
}

// clientHandshake is [ClientHandshake] with any configuration.
func clientHandshake(ctx context.Context, raw net.Conn, config *tls.Config) (*Session, error) {
	b := newBinding(raw, clientWrites)
	s, err := shake(ctx, b, tls.Client(b, b.config(config)))
	if err != nil {
		return nil, err
	}
	s.Chain = rawChain(s.TLS().PeerCertificates)
	return s, nil
}

// shake runs the handshake under its deadline and takes the session id out of b, whose record and secret are wiped
// on every path.
func shake(ctx context.Context, b *binding, conn *tls.Conn) (s *Session, err error) {
	defer b.stop()
	defer func() {
		if err != nil {
			b.Conn.Close()
		}
	}()
	deadline := time.Now().Add(HandshakeTimeout)
	if earlier, ok := ctx.Deadline(); ok && earlier.Before(deadline) {
		deadline = earlier
	}
	if err := b.Conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	state := conn.ConnectionState()
	id, err := b.sessionID(&state)
	if err != nil {
		return nil, err
	}
	if err := b.Conn.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return &Session{Conn: conn, ID: id, ALPN: state.NegotiatedProtocol, SNI: state.ServerName != ""}, nil
}
