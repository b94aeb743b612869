package server

import (
	"time"

	"sotto/shared/logging"
)

// watch removes what has expired, now and at every interval, and closes inactive connections, until the server stops.
//
// Spec: xftp.md 10.3
// Spec: xftp.md 11.3
func (s *Server) watch() {
	defer s.wg.Done()
	expiry, expiryDone := every(s.cfg.ExpiryInterval)
	inactive, inactiveDone := every(s.inactiveInterval())
	defer func() { expiryDone(); inactiveDone() }()
	s.expire()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-expiry:
			s.expire()
		case <-inactive:
			s.closeInactive()
		}
	}
}

// expire removes what has expired. Nobody finds it any more before that.
//
// Spec: xftp.md 10.3
func (s *Server) expire() {
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(s.log, p)
		}
	}()
	removed, err := s.store.Expire(s.ctx, s.now().Unix())
	s.count.ChunksExpired.Add(uint64(removed))
	switch {
	case err != nil && s.ctx.Err() == nil:
		s.log.Error().Str("op", "expire").Msg("expiry sweep failed; it is tried again at the next interval")
	case removed > 0:
		s.log.Info().Int64("chunks", removed).Msg("removed expired chunks")
	}
}

// closeInactive closes connections that have made no request for long. A transfer under way, however slow, is one.
//
// Spec: xftp.md 11.3
func (s *Server) closeInactive() {
	limit := s.now().Add(-s.cfg.InactiveTTL).Unix()
	s.closeConns(func(c *conn) bool { return c.idle() && c.active.Load() <= limit })
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
