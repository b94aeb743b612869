package proxy

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"time"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/identity"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/tls13"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// The lengths of a relay's chain and the place of its identity in it. Spec: smp.md 3.3
const (
	minChain      = 2
	maxChain      = 4
	identityIndex = 1
)

// longAgo is a deadline that ends I/O in progress.
var longAgo = time.Unix(1, 0)

// forwardable are the versions of forwarded commands.
//
// Spec: smp.md 11.1
var forwardable = wire.VersionRange{Min: smp.VersionProxy, Max: smp.MaxProxiedVersion}

// open connects to a destination and shakes hands. The error is what to answer the client with.
//
// Spec: smp.md 11.2
func (r *Relays) open(ctx context.Context, a *attempt) (*Session, smp.Error) {
	if len(a.to.fingerprint) != sha256.Size {
		return nil, smp.BrokerNetwork // no certificate has it
	}
	fingerprint := [sha256.Size]byte(a.to.fingerprint)
	raw, err := r.dialer.dial(ctx, a.to)
	if err != nil {
		return nil, r.failure(ctx, "connect", err)
	}
	var leaf key.Public
	conn, err := tls13.Client(ctx, raw, &tls13.Config{
		ALPN: []string{transport.ALPN},
		VerifyChain: func(chain [][]byte) (err error) {
			leaf, err = identity.VerifyChain(chain, fingerprint, r.options.Now())
			return err
		},
	})
	if err != nil {
		return nil, r.failure(ctx, "TLS", err)
	}
	s := newSession(r, a, conn)
	if err := s.greet(ctx, fingerprint, leaf); err != nil {
		_ = conn.NetConn().Close()
		return nil, r.failure(ctx, "hello", err)
	}
	return s, nil
}

// failure returns what to answer the client with after a step of connecting has failed.
//
// Spec: smp.md 11.6
func (r *Relays) failure(ctx context.Context, step string, err error) smp.Error {
	var broken smp.BrokerTransport
	if errors.As(err, &broken) {
		return broken
	}
	r.options.Log.Debug().Str("step", step).Str("reason", reason(err)).Msg("connecting to another relay failed")
	if ctx.Err() != nil {
		return smp.BrokerTimeout
	}
	return smp.BrokerNetwork
}

// reason names the kind of an error of the network.
func reason(err error) string {
	if errors.Is(err, errPrivate) {
		return "not an address of the public network"
	}
	return transport.Safe(err)
}

// broken is an error of the handshake after TLS.
func broken(e smp.TransportError) error { return smp.BrokerTransport{Err: e} }

// greet exchanges the hellos, the relay's first. It ends when ctx does.
//
// Spec: smp.md 4
func (s *Session) greet(ctx context.Context, fingerprint [sha256.Size]byte, leaf key.Public) error {
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(longAgo) })
	defer stop()
	public, err := s.readHello(fingerprint, leaf)
	if err != nil {
		return err
	}
	if err := s.writeHello(fingerprint, public); err != nil {
		return err
	}
	if !stop() {
		return ctx.Err()
	}
	return nil
}

// readHello reads and checks the relay's hello, chooses the version, and returns the relay's session key.
//
// Spec: smp.md 4.1
func (s *Session) readHello(fingerprint [sha256.Size]byte, leaf key.Public) (key.Public, error) {
	var block transport.Block
	defer block.Release()
	payload, err := s.blocks.ReadHello(&block)
	if errors.Is(err, transport.ErrBlock) {
		return key.Public{}, broken(smp.TransportBlock)
	}
	if err != nil {
		return key.Public{}, err
	}
	hello, err := smp.ParseServerHello(payload)
	if err != nil {
		return key.Public{}, broken(smp.HandshakeParse)
	}
	if subtle.ConstantTimeCompare(hello.SessionID, s.id) != 1 {
		return key.Public{}, broken(smp.TransportSession)
	}
	if err := s.agree(hello.Versions); err != nil {
		return key.Public{}, err
	}
	return s.takeKey(hello, fingerprint, leaf)
}

// agree chooses the highest common version, and the versions of forwarded commands. Blocks to a relay that does not know
// the flag of proxies would be encrypted from version 11 on, so that one gets 10.
//
// Spec: smp.md 4.3
// Spec: smp.md 11.1
func (s *Session) agree(relay wire.VersionRange) error {
	own := s.relays.options.Versions
	if relay.Max < smp.VersionProxyFlag {
		own.Max = min(own.Max, smp.MaxOldRelayVersion)
	}
	both, ok := own.Intersect(relay)
	if !ok || both.Max < smp.VersionProxy {
		return broken(smp.TransportVersion)
	}
	s.version = both.Max
	if s.key.Versions, ok = both.Intersect(forwardable); !ok {
		return broken(smp.TransportVersion)
	}
	return nil
}

// takeKey checks who has signed the relay's session key, and keeps what clients need to check the same.
//
// Spec: smp.md 4.1
func (s *Session) takeKey(hello smp.ServerHello, fingerprint [sha256.Size]byte, leaf key.Public) (key.Public, error) {
	if len(hello.SignedKey) == 0 {
		return key.Public{}, broken(smp.TransportNoAuth)
	}
	if len(hello.Chain) < minChain || len(hello.Chain) > maxChain || sha256.Sum256(hello.Chain[identityIndex]) != fingerprint {
		return key.Public{}, broken(smp.HandshakeIdentity)
	}
	public, err := auth.VerifySignedKey(leaf, hello.SignedKey)
	if err != nil || public.Algorithm() != key.X25519 {
		return key.Public{}, broken(smp.HandshakeBadAuth)
	}
	s.key.SignedKey = bytes.Clone(hello.SignedKey)
	for _, der := range hello.Chain {
		s.key.Chain = append(s.key.Chain, bytes.Clone(der))
	}
	return public, nil
}

// writeHello sends the hello of a proxy, with a fresh key, and agrees on the secret of this session.
//
// Spec: smp.md 4.2
// Spec: smp.md 11.2
func (s *Session) writeHello(fingerprint [sha256.Size]byte, relay key.Public) error {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	if s.secret, err = box.DH(relay, private); err != nil {
		return broken(smp.HandshakeBadAuth)
	}
	hello := smp.ClientHello{Version: s.version, KeyHash: fingerprint[:], ProxyServer: true}
	if hello.Key, err = key.FromECDH(private.PublicKey()); err != nil {
		return err
	}
	return s.blocks.WriteHello(hello.AppendTo(nil))
}
