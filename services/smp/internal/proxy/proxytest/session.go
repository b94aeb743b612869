package proxytest

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"io"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// Forwarded is a command that a proxy has forwarded, with what its sender signed it with.
type Forwarded struct {
	smp.Command
	Entity wire.EntityID
	// SignedBy reports whether the key has authorized the command.
	SignedBy func(key.Public) bool
}

// session is the connection of the proxy.
type session struct {
	id      []byte
	private *ecdh.PrivateKey
	blocks  *transport.BlockConn
	version wire.Version
	secret  [box.KeySize]byte // shared with the proxy
}

// errForwarded says that what the proxy has forwarded does not open, or does not parse.
var errForwarded = errors.New("what the proxy has sent is no forwarded command")

func (s *session) readHello() error {
	var block transport.Block
	defer block.Release()
	payload, err := s.blocks.ReadHello(&block)
	if err != nil {
		return err
	}
	hello, err := smp.ParseClientHello(payload)
	if err != nil {
		return err
	}
	s.version = hello.Version
	s.secret, err = box.DH(hello.Key, s.private)
	return err
}

// Serve makes the handshake with a proxy and answers the commands that it forwards, until it leaves.
//
// Spec: smp.md 11.5
func (o *Older) Serve(answer func(Forwarded) smp.Response) error {
	s, err := o.hello()
	if err != nil {
		return err
	}
	for {
		err := s.serveOne(answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// serveOne takes both layers off a command, and puts them on its answer.
func (s *session) serveOne(answer func(Forwarded) smp.Response) error {
	outer, err := s.receive()
	if err != nil {
		return err
	}
	nonce := box.NonceFrom(outer.CorrID)
	sealed, ok := bytes.CutPrefix(outer.Command, []byte("RFWD "))
	plain, opened := box.Open(nil, sealed, &nonce, &s.secret)
	f, err := smp.ParseForwardTransmission(plain)
	if !ok || !opened || err != nil {
		return errForwarded
	}
	sender, err := box.DH(f.Key, s.private)
	if err != nil {
		return err
	}
	response, err := s.run(f, &sender, answer)
	if err != nil {
		return err
	}
	nonce = box.Reverse(nonce)
	plain = smp.ForwardResponse{CorrID: f.CorrID, Encrypted: response}.AppendTo(nil)
	return s.reply(outer.CorrID, smp.RRES{Encrypted: box.Seal(nil, plain, &nonce, &s.secret)})
}

// receive reads one transmission, which fills its block.
func (s *session) receive() (wire.Transmission, error) {
	var block transport.Block
	defer block.Release()
	payload, err := s.blocks.ReadBlock(&block)
	if err != nil {
		return wire.Transmission{}, err
	}
	return single(bytes.Clone(payload), s.version, false)
}

func single(payload []byte, v wire.Version, forwarded bool) (wire.Transmission, error) {
	batch, err := wire.ParseBatch(payload)
	if err != nil || batch.Len() != 1 {
		return wire.Transmission{}, errForwarded
	}
	b, _ := batch.Next()
	return wire.ParseTransmission(v, forwarded, b)
}

// run opens the inner layer, has the command answered and seals the answer.
func (s *session) run(f smp.ForwardTransmission, sender *[box.KeySize]byte, answer func(Forwarded) smp.Response) ([]byte, error) {
	nonce := box.NonceFrom(f.CorrID)
	payload, err := box.OpenPadded(nil, f.Encrypted, &nonce, sender)
	if err != nil {
		return nil, err
	}
	t, err := single(payload, f.Version, true)
	if err != nil {
		return nil, err
	}
	cmd, err := smp.ParseCommand(f.Version, t.Command)
	if err != nil {
		return nil, err
	}
	response := answer(Forwarded{Command: cmd, Entity: t.EntityID, SignedBy: func(k key.Public) bool {
		return auth.Verify(k, s.private, t.CorrID, t.Authorization, wire.AppendAuthorized(nil, s.id, t.Signed))
	}})
	var p wire.Packer
	p.Add(response.AppendResponse(wire.AppendResponseHeader(nil, f.Version, nil, t.CorrID, t.EntityID), f.Version))
	nonce = box.Reverse(nonce)
	return box.SealPadded(nil, p.Payload(), &nonce, sender, smp.PaddedForwardSize)
}

func (s *session) reply(corrID []byte, response smp.Response) error {
	var p wire.Packer
	p.Add(response.AppendResponse(wire.AppendResponseHeader(nil, s.version, nil, corrID, nil), s.version))
	return s.blocks.WriteBlock(p.Payload())
}
