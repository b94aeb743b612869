package server

import (
	"errors"

	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// wireError is the protocol's word for an error: its own errors as they are, the store's by their meaning, and
// INTERNAL for what a client could not help. Storage trouble is reported by the store, once, not per command.
//
// Spec: smp.md 7.1
func wireError(err error) smp.Error {
	var e smp.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, queue.ErrNotFound), errors.Is(err, queue.ErrSecured), errors.Is(err, queue.ErrExists):
		return smp.ErrAuth
	case errors.Is(err, queue.ErrQuota):
		return smp.ErrQuota
	default:
		return smp.ErrInternal
	}
}

// blockedError tells why an operator blocked q.
//
// Spec: smp.md 7.5
func blockedError(q *queue.Queue) smp.Error {
	e := smp.BlockedError{Reason: smp.BlockingReason(q.Blocking.Reason)}
	if q.Blocking.HasNotice {
		e.Notice = &smp.Notice{HasTTL: q.Blocking.NoticeTTL > 0, TTL: q.Blocking.NoticeTTL}
	}
	return e
}
