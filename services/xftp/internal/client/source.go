package client

import (
	"io"
	"sync"
)

// source is the body of a request. HTTP/2 reads it on a goroutine of its own, and may go on doing so after the response:
// Close waits for a read in progress and lets no further one through to the reader, which is its owner's again then.
type source struct {
	moved func()

	mu    sync.Mutex // held while r is read
	r     io.Reader  // nil once closed
	left  int64      // bytes still to send; -1: unknown
	ended bool       // all was read
	err   error      // what r failed with
}

// Read reads what is left.
func (s *source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return 0, io.EOF
	case s.err != nil:
		return 0, s.err
	case s.r == nil:
		return 0, io.ErrClosedPipe
	case s.left == 0:
		s.ended = true
		return 0, io.EOF
	case s.left > 0 && int64(len(p)) > s.left:
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	if s.left > 0 {
		s.left -= int64(n)
		s.ended = s.left == 0
	}
	switch {
	case s.ended:
		err = nil // the next read ends
	case err == io.EOF && s.left < 0:
		s.ended = true
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	if n > 0 {
		s.moved()
	}
	return n, err
}

// Close takes the reader away.
func (s *source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.r = nil
	return nil
}

// done reports whether all was read.
func (s *source) done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// failed reports whether the reader failed or ended too early.
func (s *source) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err != nil
}
