package proxy

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// maxError bounds an error of the relay that is passed on, which has to fit a block with what is put around it.
const maxError = 1024

// Texts of RESPONSE: which part of an answer could not be read.
const (
	unreadable      = "CMD SYNTAX"
	unreadableInner = "BLOCK"
)

// room is the memory in which a command is made ready. Its contents are encrypted for others.
type room struct {
	plain, signed []byte
	packer        wire.Packer
	payload       [wire.MaxPayload]byte
}

var rooms = sync.Pool{New: func() any {
	return &room{plain: make([]byte, 0, wire.BlockSize), signed: make([]byte, 0, wire.BlockSize)}
}}

// Forward sends a client's command to the relay and returns the relay's answer, which the client alone can read. The error is
// what to answer the client with. It ends when ctx does.
//
// Spec: smp.md 11.4
func (s *Session) Forward(ctx context.Context, corrID []byte, cmd smp.PFWD) (smp.PRES, smp.Error) {
	s.busy.Add(1)
	defer s.busy.Add(-1)
	a := s.forward(ctx, corrID, cmd)
	s.relays.counts.Forwards[kind(s.own)][outcomeOf(a.err)].Add(1)
	return smp.PRES{Encrypted: a.encrypted}, a.err
}

func (s *Session) forward(ctx context.Context, corrID []byte, cmd smp.PFWD) answer {
	ctx, cancel := context.WithTimeout(ctx, s.relays.options.ResponseTimeout)
	defer cancel()
	if err := s.turn(ctx, s.slots); err != nil {
		return answer{err: err}
	}
	defer func() { <-s.slots }()
	s.touch()
	var r nonce
	_, _ = rand.Read(r[:]) // never fails
	answered := make(chan answer, 1)
	if !s.expect(r, answered) {
		return answer{err: smp.ProxyNoSession}
	}
	if err := s.send(ctx, &r, corrID, cmd); err != nil {
		s.abandon(r, false)
		return answer{err: err}
	}
	select {
	case a := <-answered:
		return a
	case <-s.done:
		select {
		case a := <-answered: // the last one
			return a
		default:
			return answer{err: smp.BrokerNetwork}
		}
	case <-ctx.Done():
		s.abandon(r, true)
		return answer{err: smp.BrokerTimeout}
	}
}

// turn waits until there is a place in slots, which the caller gives back.
func (s *Session) turn(ctx context.Context, slots chan struct{}) smp.Error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-s.done:
		return smp.ProxyNoSession
	case <-ctx.Done():
		return smp.BrokerTimeout
	}
}

// expect makes the answer to r go to answered. It reports false after the end of the session.
func (s *Session) expect(r nonce, answered chan<- answer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.waiting[r] = answered
	}
	return !s.ended
}

// abandon stops expecting an answer. If the command was sent, the answer may come late, or the relay hangs.
func (s *Session) abandon(r nonce, sent bool) {
	s.mu.Lock()
	_, open := s.waiting[r]
	delete(s.waiting, r)
	if open && sent {
		s.late++
		s.silence++
	}
	hangs := s.silence >= maxSilence
	s.mu.Unlock()
	if hangs {
		s.end()
	}
}

// send sends RFWD, which fills a block of its own.
//
// Spec: smp.md 11.4
func (s *Session) send(ctx context.Context, r *nonce, corrID []byte, cmd smp.PFWD) smp.Error {
	m := rooms.Get().(*room)
	defer rooms.Put(m)
	payload := s.encode(m, r, corrID, cmd)
	if payload == nil {
		return smp.BrokerTransport{Err: smp.TransportLargeMsg}
	}
	if err := s.turn(ctx, s.writing); err != nil {
		return err
	}
	defer func() { <-s.writing }()
	// Others wait for this one, so a relay that does not read is given up, and no command's remaining time counts for that.
	_ = s.blocks.SetWriteDeadline(time.Now().Add(s.relays.options.ResponseTimeout))
	if err := s.blocks.WriteBlock(payload); err != nil {
		s.end()
		return smp.BrokerNetwork
	}
	return nil
}

// encode returns the payload of a block with RFWD, in the memory of m, nil if the command is too long.
//
// Spec: smp.md 11.4
func (s *Session) encode(m *room, r *nonce, corrID []byte, cmd smp.PFWD) []byte {
	forwarded := smp.ForwardTransmission{CorrID: corrID, Version: cmd.Version, Key: cmd.Key, Encrypted: cmd.Encrypted}
	m.plain = forwarded.AppendTo(m.plain[:0])
	b := wire.AppendStr(wire.AppendStr(m.signed[:0], r[:]), nil)
	m.signed = box.Seal(append(b, "RFWD "...), m.plain, r, &s.secret)
	m.packer.Reset(m.payload[:0])
	t := wire.AppendTransmission(m.packer.Begin(), s.version, false, nil, nil, nil, m.signed)
	if !m.packer.Commit(t) {
		return nil
	}
	return m.packer.Payload()
}

// answer reads the answer to r.
//
// Spec: smp.md 11.6
func (s *Session) answer(r nonce, t wire.Transmission) answer {
	response, err := smp.ParseResponse(s.version, t.Command)
	if err != nil {
		return answer{err: smp.BrokerResponse{Text: unreadable}}
	}
	switch response := response.(type) {
	case smp.ERR:
		if len(response.Err.AppendError(nil, smp.MaxVersion)) > maxError {
			return answer{err: smp.BrokerResponse{Text: unreadable}}
		}
		return answer{err: smp.ProtocolError(response)}
	case smp.RRES:
		return s.unseal(r, response.Encrypted)
	default:
		return answer{err: smp.BrokerUnexpected{Text: response.Tag()}} // its contents are nobody's business
	}
}

// unseal takes the outer layer off an answer. The result is no view of the block.
//
// Spec: smp.md 11.4
func (s *Session) unseal(r nonce, sealed []byte) answer {
	reversed := box.Reverse(r)
	plain, ok := box.Open(nil, sealed, &reversed, &s.secret)
	if !ok {
		return answer{err: smp.ErrCrypto}
	}
	forwarded, err := smp.ParseForwardResponse(plain)
	if err != nil || len(forwarded.Encrypted) > smp.EncryptedForwardSize {
		return answer{err: smp.BrokerResponse{Text: unreadableInner}}
	}
	return answer{encrypted: forwarded.Encrypted}
}
