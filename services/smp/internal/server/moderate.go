package server

import (
	"context"
	"errors"
	"time"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// Errors of the operator's functions. Besides these they return queue.ErrNotFound and storage trouble.
var (
	// ErrAmbiguous: the id is one queue's sender id and another's link id. Clients choose link ids, so somebody has done
	// that on purpose; the operator says which is meant.
	ErrAmbiguous = errors.New("it is the sender id of one queue and the link id of another")
	// ErrBlocking: the reason is none of the protocol's, or the notice does not go with it.
	ErrBlocking = errors.New("a queue is blocked for spam or content, with a notice of 0 seconds or more")
)

// Kind says which of a queue's ids an operator has.
type Kind uint8

// Kinds of ids. Recipients' and notifiers' ids are their own, and nobody can report them.
const (
	AnyID Kind = iota
	SenderID
	LinkID
)

// QueueStatus is what an operator may know of a queue: none of its ids, keys or messages.
//
// Spec: smp.md 12.1
type QueueStatus struct {
	Mode        queue.Mode
	Status      queue.Status
	Blocking    queue.Blocking // when Status is Blocked
	Secured     bool
	HasLink     bool
	HasNotifier bool
	Subscribed  bool      // somebody is connected and listens to it
	Entries     int       // messages, and the quota marker
	LastUsed    time.Time // the day
}

// QueueStatus describes the queue that has this id.
//
// Spec: smp.md 12.1
func (s *Server) QueueStatus(ctx context.Context, kind Kind, id []byte) (QueueStatus, error) {
	q, err := s.findReported(ctx, kind, id)
	if err != nil {
		return QueueStatus{}, err
	}
	entries, _, err := s.store.Size(ctx, q.Ref)
	return QueueStatus{
		Mode: q.Mode, Status: q.Status, Blocking: q.Blocking,
		Secured: q.Secured(), HasLink: q.HasLink, HasNotifier: q.Notifier != nil,
		Subscribed: s.hub.Subscriber(q.Ref) != nil, Entries: entries,
		LastUsed: time.Unix(q.UpdatedDay*secondsPerDay, 0).UTC(),
	}, err
}

const secondsPerDay = 86400

// findReported finds a queue by an id that an operator was told of. It asks the database, not the memory.
func (s *Server) findReported(ctx context.Context, kind Kind, id []byte) (*queue.Queue, error) {
	parsed, ok := queue.ParseID(id)
	if !ok {
		return nil, queue.ErrNotFound
	}
	var found *queue.Queue
	for _, in := range kind.indexes() {
		one, err := s.find(in)(ctx, []queue.ID{parsed}, true)
		switch {
		case err != nil:
			return nil, err
		case one.Queues[0] == nil:
		case found != nil && found.Ref != one.Queues[0].Ref:
			return nil, ErrAmbiguous
		default:
			found = one.Queues[0]
		}
	}
	if found == nil {
		return nil, queue.ErrNotFound
	}
	return found, nil
}

func (k Kind) indexes() []index {
	switch k {
	case SenderID:
		return []index{bySender}
	case LinkID:
		return []index{byLink}
	default:
		return []index{bySender, byLink}
	}
}

// Block blocks a queue, or changes the reasons for which it is blocked, and tells its subscriber at once. The
// subscriber stays: once the queue is unblocked, its messages flow again.
//
// Spec: smp.md 8.3
func (s *Server) Block(ctx context.Context, kind Kind, id []byte, b queue.Blocking) error {
	if err := checkBlocking(b); err != nil {
		return err
	}
	q, err := s.findReported(ctx, kind, id)
	if err != nil {
		return err
	}
	if err := s.store.Block(ctx, q.Ref, b); err != nil {
		return err
	}
	s.moderated.Add(1)
	if sub := s.hub.Subscriber(q.Ref); sub != nil {
		event := smp.ERR{Err: blockedError(&queue.Queue{Blocking: b})}
		sub.Owner().(*conn).out.force(group{{entityID: sub.Queue.RecipientID[:], resp: event}})
	}
	return nil
}

// notBlocked takes back the subscriptions to queues that were blocked after they had been looked up. Block either has
// found such a subscription, and told its owner, or has counted before this looks.
func (c *conn) notBlocked(ctx context.Context, w *work, subs []*hub.Subscription, asked []*request) ([]*hub.Subscription, []*request) {
	if c.srv.moderated.Load() == w.blocks {
		return subs, asked
	}
	ids := make([]queue.ID, len(subs))
	for i, s := range subs {
		ids[i] = s.Queue.RecipientID
	}
	found, err := c.srv.store.ByRecipient(ctx, ids, false)
	kept := 0
	for i, s := range subs {
		refusal := err
		if err == nil && found.Queues[i] != nil && found.Queues[i].Status == queue.Blocked {
			refusal = blockedError(found.Queues[i])
		}
		if refusal != nil {
			c.unsubscribe(asked[i], s, refusal)
			continue
		}
		subs[kept], asked[kept] = s, asked[i]
		kept++
	}
	return subs[:kept], asked[:kept]
}

func checkBlocking(b queue.Blocking) error {
	switch smp.BlockingReason(b.Reason) {
	case smp.ReasonSpam, smp.ReasonContent:
	default:
		return ErrBlocking
	}
	if b.NoticeTTL < 0 || (b.NoticeTTL > 0 && !b.HasNotice) {
		return ErrBlocking
	}
	return nil
}

// Unblock gives a blocked queue the status that it had before, which is off if its owner had suspended it, and does
// nothing to a queue that is not blocked.
//
// Spec: smp.md 8.3
func (s *Server) Unblock(ctx context.Context, kind Kind, id []byte) error {
	q, err := s.findReported(ctx, kind, id)
	if err != nil {
		return err
	}
	return s.store.Unblock(ctx, q.Ref)
}

// DeleteQueue removes a queue as DEL does, but tells nobody: who listened to it or to its notifier does not any more.
//
// Spec: smp.md 12.1
func (s *Server) DeleteQueue(ctx context.Context, kind Kind, id []byte) error {
	q, err := s.findReported(ctx, kind, id)
	if err != nil {
		return err
	}
	if err := s.store.Delete(ctx, q.Ref); err != nil {
		return err
	}
	s.count.QueuesDeleted.Add(1)
	if sub := s.hub.Remove(q.Ref); sub != nil {
		sub.Owner().(*conn).forget(q.Ref, sub)
	}
	if q.Notifier != nil {
		s.notify.Remove(q.Notifier.ID, q.Notifier.Service)
	}
	return nil
}
