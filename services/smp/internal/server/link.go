package server

import (
	"context"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// setLink gives a queue link data under an id that its owner chose, or replaces the part of it that may change.
//
// Spec: smp.md 9.12
func (s *Server) setLink(ctx context.Context, q *queue.Queue, cmd smp.LSET) (smp.Response, error) {
	id, ok := queue.ParseID(cmd.LinkID)
	if !ok {
		return nil, smp.ErrAuth
	}
	// The store decides whether the queue may have it: it may have been secured since it was looked up.
	err := s.store.SetLink(ctx, q.Ref, &queue.Link{ID: id, FixedData: cmd.FixedData, UserData: cmd.UserData})
	return smp.OK{}, err
}

// secureByLink secures the queue of a one-time link, and shows its data. One does not happen without the other, and
// whoever did not get the answer asks again with the same key.
//
// Spec: smp.md 9.12
func (s *Server) secureByLink(ctx context.Context, q *queue.Queue, id queue.ID, k key.Public) (smp.Response, error) {
	link, err := s.store.SecureLink(ctx, q.Ref, id, k)
	if err != nil {
		return nil, err
	}
	s.count.QueuesSecured.Add(1)
	return linkData(q, link), nil
}

// showLink shows the link data of a contact queue.
//
// Spec: smp.md 9.12
func (s *Server) showLink(ctx context.Context, q *queue.Queue, id queue.ID) (smp.Response, error) {
	link, err := s.store.Link(ctx, q.Ref, id)
	if err != nil {
		return nil, err
	}
	return linkData(q, link), nil
}

func linkData(q *queue.Queue, l *queue.Link) smp.LNK {
	return smp.LNK{SenderID: q.SenderID[:], FixedData: l.FixedData, UserData: l.UserData}
}
