package server

import (
	"runtime/debug"
	"time"
)

const (
	// A TLS handshake leaves some 50 KB of garbage, twice what an idle connection needs. After a burst of
	// handshakesToTrim, once none has come for trimCheck, the memory goes back to the operating system.
	handshakesToTrim = 256
	trimCheck        = 2 * time.Second
)

// trimMemory returns memory after bursts of connections, such as all clients coming back after a restart.
func (s *Server) trimMemory() {
	defer s.wg.Done()
	due, done := every(trimCheck)
	defer done()
	var trimmed, before uint64
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-due:
		}
		now := s.handshakes.Load()
		if now == before && now-trimmed >= handshakesToTrim {
			debug.FreeOSMemory()
			trimmed = now
		}
		before = now
	}
}
