package server

import (
	"context"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// acknowledge runs ACK commands: each removes the message in flight, and is answered with the next.
//
// Spec: smp.md 9.5
func (c *conn) acknowledge(ctx context.Context, w *work, run []request) {
	for len(run) > 0 {
		n := c.acknowledgeDistinct(ctx, w, run)
		run = run[n:]
	}
}

// pendingAck is an ACK that matches what was delivered.
type pendingAck struct {
	r   *request
	sub *hub.Subscription // nil: after GET
}

// acknowledgeDistinct runs the ACKs up to the first that names a queue for the second time, which must see the
// result of the first, and returns how many requests it took.
func (c *conn) acknowledgeDistinct(ctx context.Context, w *work, run []request) int {
	var (
		pending []pendingAck
		acks    []queue.Acknowledgement
		seen    = make(map[queue.Ref]struct{}, len(run))
		n       int
	)
	for ; n < len(run); n++ {
		r := &run[n]
		if r.err != nil {
			continue
		}
		if _, again := seen[r.queue.Ref]; again {
			break
		}
		seen[r.queue.Ref] = struct{}{}
		id, sub, ok := c.takeDelivered(w, r)
		if !ok {
			r.err = smp.ErrNoMsg
			continue
		}
		pending, acks = append(pending, pendingAck{r, sub}), append(acks, queue.Acknowledgement{Queue: r.queue.Ref, ID: id})
	}
	if len(acks) == 0 {
		return n
	}
	heads := make([]queue.Head, len(acks))
	c.srv.store.Acknowledge(ctx, acks, heads)
	for i, p := range pending {
		c.acknowledged(w, p, heads[i])
	}
	return n
}

// takeDelivered clears the delivered mark if the ACK matches it. An empty id matches any but removes nothing.
func (c *conn) takeDelivered(w *work, r *request) (queue.MessageID, *hub.Subscription, bool) {
	given := r.cmd.(smp.ACK).MessageID
	var id queue.MessageID // the zero id is never in a queue
	if len(given) == len(id) {
		id = queue.MessageID(given)
	} else if len(given) > 0 {
		return id, nil, false
	}
	anyID := len(given) == 0
	l := c.listening(r.queue.Ref)
	if l == nil {
		return id, nil, false
	}
	if l.sub != nil {
		ok := c.srv.hub.Acknowledge(l.sub, id, anyID)
		if ok {
			w.settle = append(w.settle, l.sub)
		}
		return id, l.sub, ok
	}
	ok := l.hasDelivered && (anyID || l.delivered == id)
	l.hasDelivered = l.hasDelivered && !ok
	return id, nil, ok
}

// acknowledged answers one ACK with the queue's next message, if it may be sent.
func (c *conn) acknowledged(w *work, p pendingAck, head queue.Head) {
	if head.Err != nil {
		p.r.err = wireError(head.Err)
		if p.sub != nil {
			c.srv.hub.Wake(p.sub) // still stored, so it is delivered again
		}
		return
	}
	p.r.resp = smp.OK{}
	c.srv.count.MessagesAcknowledged.Add(1)
	c.used(p.r.queue, p.r.cmd)
	switch {
	case p.sub == nil || head.Message == nil:
	case w.held >= heldMessages:
		c.srv.hub.Wake(p.sub)
	case c.srv.hub.Deliver(p.sub, head.Message):
		p.r.msg = head.Message
		w.held++
	}
}
