package certs

import (
	"sync"
	"time"
)

// State is how it is about a name's certificate.
type State int

// States of a name's certificate.
const (
	Waiting  State = iota // it is being asked for
	Valid                 // an authority has given it
	Failed                // the last attempt has failed; there may still be an older one, see NotAfter
	Own                   // it is in the operator's files
	NotAsked              // no authority is asked
)

// String says it to an operator.
func (s State) String() string {
	return [...]string{
		"being asked for", "given by the certificate authority", "not given, will be asked for again",
		"from your files", "none that browsers trust",
	}[s]
}

// Status is how it is about a name.
type Status struct {
	Name  string
	State State
	// NotAfter is when the present certificate ends; zero: there is none.
	NotAfter time.Time
	// Reason tells cause and fix, for an operator; empty if there is nothing to tell.
	Reason string
}

// statuses are those of all names.
type statuses struct {
	mu     sync.Mutex // guards what follows
	byName map[string]Status
}

func (s *statuses) set(status Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		s.byName = make(map[string]Status)
	}
	s.byName[status.Name] = status
}

// succeeded notes that an authority has given a certificate.
func (s *statuses) succeeded(name string) { s.set(Status{Name: name, State: Valid}) }

// failed notes a failure. It reports whether that is something new.
func (s *statuses) failed(name, reason string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.byName[name]
	if status.State == Failed && status.Reason == reason {
		return false
	}
	status.Name, status.State, status.Reason = name, Failed, reason
	s.byName[name] = status
	return true
}

// of lists the statuses of names.
func (s *statuses) of(names []string) []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Status
	for _, name := range names {
		all = append(all, s.byName[name])
	}
	return all
}
