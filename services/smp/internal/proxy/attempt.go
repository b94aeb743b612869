package proxy

import (
	"context"
	"maps"
	"slices"
	"time"

	"sotto/shared/logging"
	"sotto/shared/smp"
)

// attempt is one attempt to connect to a relay, which all share who ask for that relay, and what came of it.
type attempt struct {
	key    relayKey
	to     destination
	cancel context.CancelFunc // ends it, for a newer one
	done   chan struct{}      // closed when it is over, after what follows was set

	session *Session // nil: failed
	err     smp.Error
	until   time.Time // when a failure is forgotten
}

// Connect returns the session with a relay, which is made if there is none. The error is what to answer the client with. It
// takes as long as [Options.ConnectTimeout] at most.
//
// Spec: smp.md 11.1
func (r *Relays) Connect(ctx context.Context, server smp.Server) (*Session, smp.Error) {
	to, ok := r.dialer.destination(server)
	if !ok {
		r.counts.Connects[kind(to.own)][OutcomeHost].Add(1)
		return nil, smp.BrokerHost
	}
	a := r.attempt(keyOf(server), to)
	if a == nil {
		return nil, smp.BrokerNetwork // going down
	}
	timer := time.NewTimer(r.options.ConnectTimeout)
	defer timer.Stop()
	select {
	case <-a.done:
		if a.err != nil {
			return nil, a.err
		}
		a.session.touch()
		return a.session, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, smp.BrokerTimeout
}

// attempt returns the attempt that others have made, or begins one; nil after Close.
func (r *Relays) attempt(key relayKey, to destination) *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.forget()
	if a := r.known[key]; a != nil {
		return a
	}
	if len(r.running) >= maxAttempts {
		oldest := r.running[0]
		r.running = slices.Delete(r.running, 0, 1)
		oldest.cancel()
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.options.ConnectTimeout)
	a := &attempt{key: key, to: to, cancel: cancel, done: make(chan struct{})}
	r.known[key] = a
	r.running = append(r.running, a)
	r.tasks.Go(func() {
		defer cancel()
		r.run(ctx, a)
	})
	return a
}

// run connects, and tells those who wait.
func (r *Relays) run(ctx context.Context, a *attempt) {
	session, err := r.openSafely(ctx, a)
	if err != nil {
		r.options.Log.Debug().Str("answer", err.Error()).Msg("no session with another relay")
	}
	r.counts.Connects[kind(a.to.own)][outcomeOf(err)].Add(1)
	r.finish(a, session, err)
}

// openSafely is open, except that what fails there fails alone: it reads what strangers send.
func (r *Relays) openSafely(ctx context.Context, a *attempt) (s *Session, err smp.Error) {
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(r.options.Log, p)
			s, err = nil, smp.BrokerNetwork
		}
	}()
	return r.open(ctx, a)
}

// finish sets what came of a, and keeps it.
func (r *Relays) finish(a *attempt, session *Session, err smp.Error) {
	var evicted *Session
	defer func() {
		if evicted != nil {
			evicted.end()
		}
		if err != nil && session != nil {
			session.end()
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	defer close(a.done)
	replaced := true
	if i := slices.Index(r.running, a); i >= 0 {
		r.running, replaced = slices.Delete(r.running, i, i+1), false
	}
	remember := err != nil && !replaced
	if err == nil {
		evicted, err = r.admit(session)
	}
	switch {
	case err == nil:
		a.session = session
		r.tasks.Go(session.read)
	case remember:
		a.err, a.until = err, r.options.Now().Add(r.options.ErrorTTL)
		r.failed = append(r.failed, a)
	default: // the relay is not to blame
		a.err = err
		delete(r.known, a.key)
	}
}

// admit takes a new session in, under mu. If there are as many as may be, at all or with the same host, the one that nobody
// has used for the longest time makes room, and is to be ended. If all are in use the client is told to come back: TIMEOUT is
// an error that clients take for a passing one.
func (r *Relays) admit(s *Session) (evicted *Session, err smp.Error) {
	if r.closed {
		return nil, smp.BrokerNetwork
	}
	inTheWay := r.inTheWay(s.place)
	if len(inTheWay) > 0 {
		if evicted = idlest(inTheWay); evicted == nil {
			r.counts.Full.Add(1)
			return nil, smp.BrokerTimeout
		}
		r.counts.Evicted.Add(1)
		r.remove(evicted)
	}
	r.sessions[string(s.id)] = s
	return evicted, nil
}

// inTheWay returns the sessions of which one has to end before there is one more with a relay in this place.
func (r *Relays) inTheWay(place string) []*Session {
	var there []*Session
	for _, s := range r.sessions {
		if s.place == place {
			there = append(there, s)
		}
	}
	switch {
	case len(there) >= maxPerPlace:
		return there
	case len(r.sessions) >= r.options.MaxSessions:
		return slices.Collect(maps.Values(r.sessions))
	default:
		return nil
	}
}

// idlest returns the session that nobody uses and was used last the longest time ago, nil if all are in use.
func idlest(sessions []*Session) (idlest *Session) {
	for _, s := range sessions {
		if s.busy.Load() == 0 && (idlest == nil || s.used.Load() < idlest.used.Load()) {
			idlest = s
		}
	}
	return idlest
}

// remove takes a session out, under mu, so that its id is unknown and the next who asks for its relay gets a new one.
func (r *Relays) remove(s *Session) {
	if r.sessions[string(s.id)] == s {
		delete(r.sessions, string(s.id))
	}
	if a := r.known[s.relay]; a != nil && a.session == s {
		delete(r.known, s.relay)
	}
}

// forget drops the failures that are old, or too many, under mu.
func (r *Relays) forget() {
	now, n := r.options.Now(), 0
	for n < len(r.failed) && (len(r.failed)-n >= maxErrors || !now.Before(r.failed[n].until)) {
		if a := r.failed[n]; r.known[a.key] == a {
			delete(r.known, a.key)
		}
		n++
	}
	r.failed = slices.Delete(r.failed, 0, n)
}
