package proxy

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"sotto/shared/box"
	"sotto/shared/logging"
	"sotto/shared/smp"
	"sotto/shared/tls13"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

const (
	// maxInFlight bounds the forwarded commands of a session that wait for their answer. Others wait for their turn. It is
	// what a relay works off in a few seconds at its slowest.
	maxInFlight = 256
	// maxUnasked bounds the answers that nobody waits for, beyond those that came too late. A relay that sends more is broken
	// or hostile.
	maxUnasked = 64
	// maxSilence is after how many commands without an answer, nothing else having come meanwhile, a session is given up:
	// the relay hangs, and with a new connection it may not.
	maxSilence = 8
	// blockPatience bounds the time of a block from its first byte to its last.
	blockPatience = 30 * time.Second
)

// nonce is a correlation id of RFWD, of which the nonces of command and answer are made.
type nonce = [box.NonceSize]byte

// answer is what a relay has answered to RFWD.
type answer struct {
	encrypted []byte
	err       smp.Error
}

// Session is a connection to another relay. It prints as a placeholder.
type Session struct {
	relays  *Relays
	relay   relayKey
	place   string
	own     bool
	conn    *tls13.Conn
	blocks  *transport.BlockConn
	id      []byte
	version wire.Version
	key     smp.PKEY
	secret  [box.KeySize]byte

	busy    atomic.Int64 // forwarded commands
	used    atomic.Int64 // when it was used last, in nanoseconds since 1970
	slots   chan struct{}
	writing chan struct{} // holds one while a block is written
	done    chan struct{} // closed at the end

	mu      sync.Mutex
	ended   bool
	waiting map[nonce]chan<- answer
	late    int // answers that may come too late
	unasked int
	silence int // commands without an answer since the last block
}

// Format prints a placeholder, whatever the verb.
func (*Session) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[session]") }

func newSession(r *Relays, a *attempt, conn *tls13.Conn) *Session {
	s := &Session{
		relays: r, relay: a.key, place: a.to.place(conn.RemoteAddr()), own: a.to.own, conn: conn, blocks: transport.NewBlockConn(conn), id: conn.State().ClientFinished,
		slots: make(chan struct{}, maxInFlight), writing: make(chan struct{}, 1), done: make(chan struct{}),
		waiting: make(map[nonce]chan<- answer),
	}
	s.key.SessionID = s.id
	s.used.Store(time.Now().UnixNano())
	return s
}

// Key returns what a client needs to send through this session. It must not be changed.
//
// Spec: smp.md 11.1
func (s *Session) Key() smp.PKEY { return s.key }

// touch puts off the end of a session that nobody uses.
func (s *Session) touch() {
	now := time.Now()
	s.used.Store(now.UnixNano())
	_ = s.blocks.SetReadDeadline(now.Add(s.relays.options.IdleTimeout)) // if it fails, so does reading
}

// end ends the session, after which nobody finds it, and those who wait for answers are told. It may be called more than
// once.
func (s *Session) end() {
	s.mu.Lock()
	first := !s.ended
	s.ended = true
	clear(s.waiting)
	s.mu.Unlock()
	if !first {
		return
	}
	s.relays.mu.Lock()
	s.relays.remove(s)
	s.relays.mu.Unlock()
	close(s.done)
	_ = s.conn.Close()
}

// read reads what the relay sends, until the session ends.
func (s *Session) read() {
	log := s.relays.options.Log
	defer s.end()
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(log, p)
		}
	}()
	s.blocks.SetPatience(blockPatience)
	s.touch()
	log.Debug().Msg("session with another relay begins")
	err := s.readBlocks()
	log.Debug().Str("reason", reason(err)).Msg("session with another relay ends")
}

// errHostile ends a session with a relay that does not follow the protocol.
var errHostile = errors.New("proxy: the relay does not follow the protocol")

func (s *Session) readBlocks() error {
	var block transport.Block
	defer block.Release()
	for {
		payload, err := s.blocks.ReadBlock(&block)
		if err != nil {
			return err
		}
		if err := s.take(payload); err != nil {
			return err
		}
		block.Release()
	}
}

// take gives the answers in a block to those who wait for them.
//
// Spec: smp.md 11.4
func (s *Session) take(payload []byte) error {
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		return errHostile
	}
	for b, ok := batch.Next(); ok; b, ok = batch.Next() {
		t, err := wire.ParseTransmission(s.version, false, b)
		if err != nil {
			return errHostile
		}
		waiting, r, err := s.asked(t.CorrID)
		if err != nil {
			return err
		}
		if waiting != nil {
			waiting <- s.answer(r, t) // has room
		}
	}
	return nil
}

// asked finds, once, who waits for the answer with this correlation id. Answers that nobody waits for are borne with up to a
// number.
func (s *Session) asked(corrID []byte) (waiting chan<- answer, r nonce, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(corrID) == len(r) {
		r = nonce(corrID)
		waiting = s.waiting[r]
	}
	if waiting != nil {
		delete(s.waiting, r)
		s.silence = 0
		return waiting, r, nil
	}
	if s.unasked++; s.unasked > s.late+maxUnasked {
		return nil, r, errHostile
	}
	return nil, r, nil
}
