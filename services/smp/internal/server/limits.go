package server

import (
	"net"
	"sync"

	"sotto/shared/limit"
	"sotto/shared/smp"
	"sotto/shared/transport"
)

// rates bound how often the commands come that cost the relay more than an answer: a queue is kept until its owner deletes
// it, and a session with another relay takes a handshake with it.
type rates struct {
	create *limit.Rate // NEW
	proxy  *limit.Rate // PRXY
}

func newRates(cfg Config) rates {
	return rates{create: limit.NewRate(cfg.NewRate), proxy: limit.NewRate(cfg.ProxyRate)}
}

// lanes are a connection's shares of the rates.
type lanes struct {
	create, proxy limit.Lane
}

// lanes returns those of a new connection.
func (r rates) lanes(raw net.Conn) lanes {
	source := transport.SourceOf(raw)
	return lanes{create: r.create.Lane(source), proxy: r.proxy.Lane(source)}
}

// keepPace holds up a block whose commands come faster than they may, before anything of it is looked at further: who
// guesses passwords for NEW is slowed down as well. It returns false if the block has to wait for too long. Then the
// connection is to be closed, which apps take for something that passes, and after which they wait for longer and longer:
// an error would be the end of the contact that somebody is making.
//
// Spec: smp.md 7.6
func (c *conn) keepPace(requests []request) bool {
	creations, sessions := 0, 0
	for i := range requests {
		switch requests[i].cmd.(type) {
		case smp.NEW:
			creations++
		case smp.PRXY:
			sessions++
		}
	}
	// What waits here ends with the relay: nothing of the block is done yet.
	if c.lanes.create.Wait(c.srv.ctx, creations) != nil {
		c.srv.count.CreatedTooFast.Add(1)
		return false
	}
	if c.lanes.proxy.Wait(c.srv.ctx, sessions) != nil {
		c.srv.count.ProxiedTooFast.Add(1)
		return false
	}
	return true
}

// room bounds the number of queues, however many are created at once.
type room struct {
	mu       sync.Mutex
	creating int64 // under way, and perhaps counted by the store already
}

// takeRoom makes room for one more queue, until releaseRoom is called. It returns false if there would be more than there
// may be.
func (s *Server) takeRoom() bool {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	if most := s.cfg.MaxQueues; most > 0 && s.room.creating+s.store.Count() >= most {
		s.count.QueuesRefused.Add(1)
		return false
	}
	s.room.creating++
	return true
}

func (s *Server) releaseRoom() {
	s.room.mu.Lock()
	defer s.room.mu.Unlock()
	s.room.creating--
}
