package server

import (
	"time"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// lost is a subscription that a connection lost, and the event that tells it so.
type lost struct {
	id    queue.ID     // recipient, notifier or service id
	queue *queue.Queue // nil: it is a notifier's, or all of a service
	event smp.Response
}

// lose takes a subscription from its owner at once; the event follows with others.
//
// Spec: smp.md 10.3
func (s *Server) lose(sub *hub.Subscription, event smp.Response) {
	owner := sub.Owner().(*conn)
	owner.forget(sub.Queue.Ref, sub)
	s.tellLater(owner, lost{sub.Queue.RecipientID, sub.Queue, event})
}

func (s *Server) tellLater(owner *conn, e lost) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, connected := s.conns[owner]; connected {
		s.ends[owner] = append(s.ends[owner], e)
	}
}

// flushEnds sends the END and DELD events that were collected.
func (s *Server) flushEnds() {
	s.mu.Lock()
	ends := s.ends
	s.ends = make(map[*conn][]lost)
	s.mu.Unlock()
	for c, events := range ends {
		c.out.forceEnds(events)
	}
}

// endGroup makes one event of those of the same queue or notifier, the last, and none of one that the connection has
// subscribed again meanwhile: the event would end that subscription in the eyes of the client.
//
// Spec: smp.md 10.3
func (c *conn) endGroup(events []lost) group {
	g := make(group, 0, len(events))
	at := make(map[queue.ID]int, len(events))
	for i := range events {
		e := &events[i]
		if c.subscribedAgain(e) {
			continue
		}
		one := reply{entityID: e.id[:], resp: e.event}
		if i, again := at[e.id]; again {
			g[i] = one
			continue
		}
		at[e.id] = len(g)
		g = append(g, one)
	}
	return g
}

func (c *conn) subscribedAgain(e *lost) bool {
	if _, service := e.event.(smp.ENDS); service {
		return c.srv.notify.Serving(c.notifier)
	}
	if e.queue == nil {
		return c.srv.notify.Current(c.notifier, e.id)
	}
	l := c.listening(e.queue.Ref)
	return l != nil && l.sub != nil
}

// closeInactive closes connections that are silent and listen to nothing.
//
// Spec: smp.md 10.5
func (s *Server) closeInactive() {
	limit := s.now().Add(-s.cfg.InactiveTTL).Unix()
	var inactive []*conn
	s.mu.Lock()
	for c := range s.conns {
		if c.active.Load() <= limit && !c.subscribed() {
			inactive = append(inactive, c)
		}
	}
	s.mu.Unlock()
	for _, c := range inactive {
		c.interrupt()
	}
}

// expiryLimit is the time, in Unix seconds, before which messages are old.
func (s *Server) expiryLimit() int64 { return s.now().Add(-s.cfg.MessageTTL).Unix() }

// expire sweeps old messages out of all queues.
//
// Spec: smp.md 8.5
func (s *Server) expire() {
	if s.cfg.MessageTTL <= 0 {
		return
	}
	defer s.recoverBug()
	removed, err := s.store.ExpireAll(s.ctx, s.expiryLimit())
	s.count.MessagesExpired.Add(uint64(removed))
	switch {
	case err != nil && s.ctx.Err() == nil:
		s.log.Error().Str("op", "expire").Msg("expiry sweep failed; it is tried again at the next interval")
	case removed > 0:
		s.log.Info().Int64("messages", removed).Msg("removed expired messages")
	}
}

// watch flushes events and closes inactive connections until the server stops.
func (s *Server) watch() {
	defer s.wg.Done()
	ends, endsDone := every(s.cfg.EndInterval)
	inactive, inactiveDone := every(s.inactiveInterval())
	defer func() { endsDone(); inactiveDone() }()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ends:
			s.flushEnds()
		case <-inactive:
			s.closeInactive()
		}
	}
}

// sweepPatience is how long clients wait at the start for the first sweep. A long one goes on while they are served.
const sweepPatience = 5 * time.Second

// awaitSweep keeps clients from being sent what the first sweep is about to remove.
func (s *Server) awaitSweep() {
	timer := time.NewTimer(sweepPatience)
	defer timer.Stop()
	select {
	case <-s.swept:
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// sweep expires messages until the server stops.
func (s *Server) sweep() {
	defer s.wg.Done()
	due, done := every(s.cfg.ExpiryInterval)
	defer done()
	if s.cfg.ExpireOnStart {
		s.expire()
	}
	close(s.swept)
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-due:
			s.expire()
		}
	}
}

func (s *Server) inactiveInterval() time.Duration {
	if s.cfg.InactiveTTL <= 0 {
		return 0
	}
	return s.cfg.InactiveInterval
}

// every is a ticker; an interval of 0 never ticks.
func every(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}
