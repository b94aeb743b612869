package client

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"fmt"
	"io"
	"time"

	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Conn is a connection to a relay after the hellos, which the caller reads and writes block by block. It serves
// tests that have to be hostile, and as what a [Client] is made of. One goroutine may read while others write.
type Conn struct {
	session *transport.Session
	blocks  *transport.BlockConn
	options Options
	version wire.Version
	relay   Relay
	private *ecdh.PrivateKey // of the key in the client hello, nil if there was none
	service *serving         // nil: an ordinary connection
}

// Relay is what a relay says in its hello.
type Relay struct {
	// Versions it offers.
	Versions wire.VersionRange
	// Chain and SignedKey as received, nil from a relay that offers version 6 only.
	Chain     [][]byte
	SignedKey []byte
	// Key is the X25519 session key inside SignedKey.
	Key key.Public
}

// Format prints a placeholder, whatever the verb.
func (Relay) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[relay]") }

// ErrNoSecret: one of the hellos had no X25519 key.
var ErrNoSecret = errors.New("smp client: no key was agreed in the hellos")

// Format prints a placeholder, whatever the verb.
func (c *Conn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[connection]") }

// Version returns the agreed version.
func (c *Conn) Version() wire.Version { return c.version }

// SessionID returns the session id, which the caller must not change. Spec: smp.md 3.4
func (c *Conn) SessionID() []byte { return c.session.ID }

// Relay returns what the relay's hello contained.
func (c *Conn) Relay() Relay { return c.relay }

// Session returns the TLS session, for its deadlines and for reading and writing bytes that are no blocks.
func (c *Conn) Session() *transport.Session { return c.session }

// SharedSecret returns the secret of the keys in both hellos, which a proxy encrypts RFWD with. The error is
// [ErrNoSecret] or [box.ErrAgreement].
//
// Spec: smp.md 11.2
func (c *Conn) SharedSecret() ([box.KeySize]byte, error) {
	if c.private == nil || c.relay.Key.IsZero() {
		return [box.KeySize]byte{}, ErrNoSecret
	}
	return box.DH(c.relay.Key, c.private)
}

// WriteBlock pads payload, encrypts it if this connection does, and sends it, whatever it contains.
func (c *Conn) WriteBlock(payload []byte) error { return c.blocks.WriteBlock(payload) }

// WriteRaw sends bytes inside TLS as they are, neither padded nor encrypted as a block.
func (c *Conn) WriteRaw(b []byte) error {
	_, err := c.session.Conn.Write(b)
	return err
}

// ReadBlock reads a block and returns its payload, as [transport.BlockConn.ReadBlock] does.
func (c *Conn) ReadBlock(b *transport.Block) ([]byte, error) { return c.blocks.ReadBlock(b) }

// ReadRaw fills b with bytes as they come inside TLS. It and ReadBlock may take turns between blocks only.
func (c *Conn) ReadRaw(b []byte) error {
	_, err := io.ReadFull(c.session.Conn, b)
	return err
}

// SetDeadline bounds reads and writes; the zero time removes the bound.
func (c *Conn) SetDeadline(t time.Time) error { return c.session.Conn.SetDeadline(t) }

// Close closes the connection. It may be called more than once. The result is always nil: what can fail is telling a
// relay that has gone.
func (c *Conn) Close() error {
	_ = c.session.Conn.Close()
	return nil
}

// Send sends requests as one block, giving those without a correlation id a random one, which it sets. The error is
// [ErrTooLarge] if they do not fit.
func (c *Conn) Send(requests ...*Request) error {
	b := takeOutbound()
	defer b.release()
	for _, r := range requests {
		if r.CorrID == nil {
			id := newCorrID()
			r.CorrID = id[:]
		}
		if err := c.add(b, r); err != nil {
			return err
		}
	}
	return c.WriteBlock(b.packer.Payload())
}

// add signs r and puts it into b, or returns [ErrTooLarge].
func (c *Conn) add(b *outbound, r *Request) error {
	s := takeScratch()
	defer s.release()
	if err := c.prepare(s, r, r.CorrID); err != nil {
		return err
	}
	if !c.pack(b, s) {
		return ErrTooLarge
	}
	return nil
}

// Receive reads a block and returns its transmissions, which do not share memory with others. The error is that of
// reading, [transport.ErrBlock], or [ErrMalformed].
func (c *Conn) Receive() ([]wire.Transmission, error) {
	var block transport.Block
	defer block.Release()
	payload, err := c.ReadBlock(&block)
	if err != nil {
		return nil, err
	}
	var all []wire.Transmission
	err = c.each(bytes.Clone(payload), func(t *wire.Transmission) error {
		all = append(all, *t)
		return nil
	})
	return all, err
}

// each calls take with every transmission of a payload, in order. They are views of it. The error is [ErrMalformed]
// or that of take.
//
// Spec: smp.md 5.1
// Spec: smp.md 6.1
func (c *Conn) each(payload []byte, take func(*wire.Transmission) error) error {
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		return ErrMalformed
	}
	for b, ok := batch.Next(); ok; b, ok = batch.Next() {
		t, err := wire.ParseTransmission(c.version, false, b)
		if err != nil || (c.version <= wire.SessionVersion && !bytes.Equal(t.SessionID, c.session.ID)) {
			return ErrMalformed
		}
		if err := take(&t); err != nil {
			return err
		}
	}
	return nil
}
