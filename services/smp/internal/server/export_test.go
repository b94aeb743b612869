package server

import (
	"crypto/ecdh"
	"sync/atomic"

	"sotto/shared/key"
)

// CountVerifications counts the verifications of authorizations from now on. It is called before Serve.
func (s *Server) CountVerifications() *atomic.Int64 {
	n, verify := new(atomic.Int64), s.verify
	s.verify = func(k key.Public, session *ecdh.PrivateKey, corrID, authorization, message []byte) bool {
		n.Add(1)
		return verify(k, session, corrID, authorization, message)
	}
	return n
}

// Waiting is what waits for the slowest connection: groups of replies, replies and messages among them, and
// subscriptions to be pulled.
func (s *Server) Waiting() (groups, replies, messages, ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.out.mu.Lock()
		waiting := 0
		for _, g := range c.out.groups {
			for i := range g {
				if g[i].large() {
					waiting++
				}
			}
		}
		if waiting != c.out.messages {
			panic("messages are miscounted")
		}
		groups, replies = max(groups, len(c.out.groups)), max(replies, c.out.replies)
		messages, ready = max(messages, waiting), max(ready, len(c.out.ready))
		c.out.mu.Unlock()
	}
	return groups, replies, messages, ready
}

// BreakVerification makes the verification of a command with this correlation id panic. It is called before Serve.
func (s *Server) BreakVerification(corrID string) {
	verify := s.verify
	s.verify = func(k key.Public, session *ecdh.PrivateKey, id, authorization, message []byte) bool {
		if string(id) == corrID {
			panic("verification")
		}
		return verify(k, session, id, authorization, message)
	}
}
