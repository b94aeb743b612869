package client

import (
	"crypto/rand"
	"sync"
	"sync/atomic"

	"sotto/shared/transport"
	"sotto/shared/wire"
)

// inbound is a received block that is shared by those who were given transmissions of it. It returns to the pool when
// the last of them releases it; if one does not, the garbage collector takes it.
type inbound struct {
	block transport.Block
	users atomic.Int32
}

var inboundPool = sync.Pool{New: func() any { return new(inbound) }}

func takeInbound() *inbound {
	in := inboundPool.Get().(*inbound)
	in.users.Store(1)
	return in
}

func (in *inbound) retain() { in.users.Add(1) }

func (in *inbound) release() {
	if in.users.Add(-1) == 0 {
		in.block.Release()
		inboundPool.Put(in)
	}
}

// outbound is a block to be written.
type outbound struct {
	packer  wire.Packer
	whole   bool // a batch of its own: nothing is added
	storage [wire.MaxPayload]byte
}

var outboundPool = sync.Pool{New: func() any { return new(outbound) }}

func takeOutbound() *outbound {
	b := outboundPool.Get().(*outbound)
	b.packer.Reset(b.storage[:0])
	b.whole = false
	return b
}

func (b *outbound) release() { outboundPool.Put(b) }

// scratch is the memory in which one transmission is signed.
type scratch struct {
	authorized    []byte // session id and T. Spec: smp.md 6.2
	signed        int    // where T begins
	authorization []byte
	service       []byte
}

var scratchPool = sync.Pool{New: func() any { return &scratch{authorized: make([]byte, 0, wire.BlockSize+512)} }}

func takeScratch() *scratch { return scratchPool.Get().(*scratch) }

func (s *scratch) release() {
	s.authorization, s.service = nil, nil
	scratchPool.Put(s)
}

// corrIDSize is the length of correlation ids that calls are found by, that of all clients. Spec: smp.md 6.1
const corrIDSize = 24

type corrID [corrIDSize]byte

func newCorrID() (id corrID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// prepare encodes r with this correlation id and authorizes it, into s.
//
// Spec: smp.md 6.2
func (c *Conn) prepare(s *scratch, r *Request, id []byte) error {
	b := wire.AppendStr(s.authorized[:0], c.session.ID)
	s.signed = len(b)
	b = wire.AppendStr(b, id)
	b = wire.AppendStr(b, r.Entity)
	if r.Encoded != nil {
		b = append(b, r.Encoded...)
	} else {
		b = r.Command.AppendCommand(b, c.version)
	}
	s.authorized, s.service = b, r.ServiceSignature
	if r.Authorization != nil {
		s.authorization = r.Authorization
		return nil
	}
	b, err := c.sign(s, r.Command, id, b)
	if err == nil {
		s.authorization, err = r.Key.Authorize(c.relay.Key, id, b)
	}
	return err
}

// pack adds the prepared transmission to b, or returns false when it does not fit.
//
// Spec: smp.md 6.1
func (c *Conn) pack(b *outbound, s *scratch) bool {
	t := wire.AppendTransmission(b.packer.Begin(), c.version, false, s.authorization, s.service, c.session.ID, s.authorized[s.signed:])
	return b.packer.Commit(t)
}
