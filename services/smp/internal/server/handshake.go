package server

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"net"
	"time"

	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// errHello: the client's hello does not fit; the connection is closed without a word. Spec: smp.md 4
var errHello = errors.New("client hello refused")

// handshake makes a connection of a socket: TLS, then the hellos, the relay's first.
//
// Spec: smp.md 4
func (s *Server) handshake(raw net.Conn) (*conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.cfg.TLSTimeout)
	defer cancel()
	session, err := s.tls.Handshake(ctx, raw)
	if err != nil {
		s.count.TLSFailed.Add(1)
		return nil, err
	}
	s.count.TLSDone.Add(1)
	c, err := s.exchangeHellos(raw, session)
	if err != nil {
		s.count.HelloRefused.Add(1)
		_ = session.Conn.Close() // with the farewell of TLS. Spec: smp.md 3.8
	}
	return c, err
}

// exchangeHellos is the second half of a handshake, after TLS.
//
// Spec: smp.md 4.1
func (s *Server) exchangeHellos(raw net.Conn, session *transport.Session) (*conn, error) {
	if err := raw.SetDeadline(time.Now().Add(s.cfg.HandshakeTimeout)); err != nil {
		return nil, err
	}
	// The hellos end when the relay stops, as TLS does.
	proceed := context.AfterFunc(s.ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer proceed()
	versions, err := s.versionsFor(session.ALPN)
	if err != nil {
		return nil, err
	}
	c := newConn(s, raw, session)
	hello, err := c.sendHello(versions)
	if err != nil {
		return nil, err
	}
	if err := c.acceptHello(hello); err != nil {
		return nil, err
	}
	if !proceed() {
		return nil, errShutdown
	}
	return c, raw.SetDeadline(time.Time{})
}

// versionsFor returns the range to offer: clients that know no ALPN get the oldest version only.
//
// Spec: smp.md 3.5
func (s *Server) versionsFor(alpn string) (wire.VersionRange, error) {
	versions := s.cfg.Versions
	if alpn != "" {
		return versions, nil
	}
	if versions.Min > smp.MinVersion {
		return versions, errHello
	}
	return wire.VersionRange{Min: smp.MinVersion, Max: smp.MinVersion}, nil
}

// sendHello sends the server hello, with a fresh session key from version 7 on.
//
// Spec: smp.md 4.1
func (c *conn) sendHello(versions wire.VersionRange) (smp.ServerHello, error) {
	hello := smp.ServerHello{Versions: versions, SessionID: c.session.ID}
	if versions.Max >= smp.VersionAuth {
		priv, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			return hello, err
		}
		public, err := key.New(key.X25519, priv.PublicKey().Bytes())
		if err != nil {
			return hello, err
		}
		c.sessionKey = priv
		hello.Chain, hello.SignedKey = c.srv.id.Chain, c.srv.id.SignSessionKey(public)
	}
	return hello, c.blocks.WriteHello(hello.AppendTo(nil))
}

// acceptHello reads the client hello and settles version and block encryption.
//
// Spec: smp.md 4.2
func (c *conn) acceptHello(sent smp.ServerHello) error {
	var block transport.Block
	defer block.Release()
	payload, err := c.blocks.ReadHello(&block)
	if err != nil {
		return err
	}
	hello, err := smp.ParseClientHello(payload)
	if err != nil {
		return err
	}
	fingerprint := c.srv.id.Fingerprint()
	if !bytes.Equal(hello.KeyHash, fingerprint[:]) || hello.Version < sent.Versions.Min || hello.Version > sent.Versions.Max {
		return errHello
	}
	c.version, c.clientKey = hello.Version, hello.Key
	if hello.Service != nil {
		if err := c.acceptService(hello.Service); err != nil {
			return err
		}
	}
	if c.version >= smp.VersionBlockEncryption && !hello.Key.IsZero() && !hello.ProxyServer {
		secret, err := box.DH(hello.Key, c.sessionKey)
		if err != nil {
			return err
		}
		send, receive := box.NewChains(&secret, c.session.ID)
		c.blocks.Encrypt(send, receive)
	}
	return nil
}
