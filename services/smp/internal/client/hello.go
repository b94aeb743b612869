package client

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
	"sotto/shared/key"
	"sotto/shared/smp"
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

// handshake exchanges the hellos, the relay's first, and turns on block encryption where it belongs. It ends when ctx
// does.
//
// Spec: smp.md 4
func (c *Conn) handshake(ctx context.Context, fingerprint [32]byte) error {
	stop := context.AfterFunc(ctx, func() { _ = c.session.Conn.SetDeadline(longAgo) })
	defer stop()
	if err := c.readHello(fingerprint); err != nil {
		return err
	}
	if err := c.writeHello(fingerprint); err != nil {
		return err
	}
	if err := c.readService(); err != nil {
		return err
	}
	if !stop() {
		return ctx.Err() // the deadline is set, or about to be
	}
	return c.encrypt()
}

// readHello reads and checks the relay's hello and chooses the version.
//
// Spec: smp.md 4.1
func (c *Conn) readHello(fingerprint [32]byte) error {
	var block transport.Block
	defer block.Release()
	payload, err := c.blocks.ReadHello(&block)
	if errors.Is(err, transport.ErrBlock) {
		return ErrMalformed
	}
	if err != nil {
		return err
	}
	leaf, err := key.Parse(c.session.TLS().PeerCertificates[0].RawSubjectPublicKeyInfo)
	if err != nil {
		return ErrIdentity
	}
	c.relay, err = parseHello(payload, c.session.ID, fingerprint, leaf)
	if err != nil {
		return err
	}
	c.version, err = agree(c.options.Versions, c.relay.Versions, c.options.ProxyServer)
	return err
}

// parseHello parses a server hello and makes all checks but that of the version. leaf is the key of TLS.
//
// Spec: smp.md 4.1
func parseHello(payload, sessionID []byte, fingerprint [32]byte, leaf key.Public) (Relay, error) {
	hello, err := smp.ParseServerHello(payload)
	if err != nil {
		return Relay{}, ErrMalformed
	}
	if subtle.ConstantTimeCompare(hello.SessionID, sessionID) != 1 {
		return Relay{}, ErrSession
	}
	relay := Relay{Versions: hello.Versions}
	if hello.Versions.Max < smp.VersionAuth {
		return relay, nil
	}
	if len(hello.Chain) < minChain || len(hello.Chain) > maxChain || sha256.Sum256(hello.Chain[identityIndex]) != fingerprint {
		return Relay{}, ErrIdentity
	}
	relay.Key, err = auth.VerifySignedKey(leaf, hello.SignedKey)
	if err != nil || relay.Key.Algorithm() != key.X25519 {
		return Relay{}, ErrIdentity
	}
	relay.SignedKey = bytes.Clone(hello.SignedKey)
	for _, der := range hello.Chain {
		relay.Chain = append(relay.Chain, bytes.Clone(der))
	}
	return relay, nil
}

// agree returns the highest common version, or [ErrVersion].
//
// Spec: smp.md 4.3
func agree(own, relay wire.VersionRange, proxy bool) (wire.Version, error) {
	if proxy && relay.Max < smp.VersionProxyFlag {
		own.Max = min(own.Max, smp.MaxOldRelayVersion)
	}
	both, ok := own.Intersect(relay)
	if !ok {
		return 0, ErrVersion
	}
	return both.Max, nil
}

// writeHello sends the client hello, with a fresh key unless the version or the options forbid it.
//
// Spec: smp.md 4.2
func (c *Conn) writeHello(fingerprint [32]byte) error {
	hello := smp.ClientHello{Version: c.version, KeyHash: fingerprint[:], ProxyServer: c.options.ProxyServer}
	if c.version >= smp.VersionAuth && !c.options.NoKey {
		private, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return err
		}
		if hello.Key, err = key.FromECDH(private.PublicKey()); err != nil {
			return err
		}
		c.private = private
	}
	c.introduce(&hello)
	return c.blocks.WriteHello(hello.AppendTo(nil))
}

// Encrypted reports whether blocks are encrypted inside TLS.
//
// Spec: smp.md 5.4
func (c *Conn) Encrypted() bool {
	saidProxy := c.options.ProxyServer && c.version >= smp.VersionProxyFlag
	return c.version >= smp.VersionBlockEncryption && c.private != nil && !saidProxy
}

// encrypt turns on block encryption, from the first block after the hellos.
//
// Spec: smp.md 5.4
func (c *Conn) encrypt() error {
	if !c.Encrypted() {
		return nil
	}
	secret, err := c.SharedSecret()
	if err != nil {
		return ErrIdentity
	}
	receive, send := box.NewChains(&secret, c.session.ID)
	clear(secret[:])
	c.blocks.Encrypt(send, receive)
	return nil
}
