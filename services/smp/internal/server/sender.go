package server

import (
	"context"
	"crypto/rand"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// send runs SEND commands: it stores the messages in one go, and hands those that found an empty queue to its
// subscriber. OK means that the message is durable.
//
// Spec: smp.md 9.10
func (c *conn) send(ctx context.Context, run []request) {
	var (
		in    = make([]queue.NewMessage, 0, len(run))
		marks = make([]hub.Mark, 0, len(run))
		sent  = make([]*request, 0, len(run))
	)
	for i := range run {
		r := &run[i]
		if r.err != nil {
			continue
		}
		cmd := r.cmd.(smp.SEND)
		if r.err = c.prepareQueue(ctx, r, cmd); r.err != nil {
			continue
		}
		in = append(in, queue.NewMessage{Queue: r.queue.Ref, Message: c.newMessage(cmd)})
		marks = append(marks, c.srv.hub.Mark(r.queue.Ref))
		sent = append(sent, r)
	}
	if len(in) == 0 {
		return
	}
	results := make([]queue.Appended, len(in))
	c.srv.store.Append(ctx, in, results)
	for i, r := range sent {
		if results[i].Err != nil {
			r.err = wireError(results[i].Err)
			c.srv.count.refused(r.err)
			continue
		}
		r.resp = smp.OK{}
		c.srv.count.MessagesReceived.Add(1)
		c.srv.count.BytesReceived.Add(uint64(len(in[i].Message.Body)))
		if results[i].WasEmpty {
			c.srv.hub.Stored(in[i].Queue, in[i].Message, marks[i])
		}
		c.srv.notifyOf(r.queue, in[i].Message)
		c.used(r.queue, r.cmd)
	}
}

// prepareQueue does what comes before storing: limits and status, the link that ends with the first message, and
// old messages that make room.
//
// Spec: smp.md 9.10 steps 1 to 4
func (c *conn) prepareQueue(ctx context.Context, r *request, cmd smp.SEND) smp.Error {
	q := r.queue
	switch {
	case len(cmd.Body) > smp.MaxBody(r.version):
		return smp.ErrLargeMsg
	case q.Status == queue.Off:
		return smp.ErrAuth
	case q.Status == queue.Blocked:
		return blockedError(q)
	}
	if q.HasLink && q.Mode != queue.ModeContact && q.Secured() {
		if err := c.srv.store.DeleteLink(ctx, q.Ref); err != nil {
			return wireError(err)
		}
	}
	if c.srv.cfg.ExpireOnSend && c.srv.cfg.MessageTTL > 0 {
		removed, err := c.srv.store.Expire(ctx, q.Ref, c.srv.expiryLimit())
		c.srv.count.MessagesExpired.Add(uint64(removed))
		if err != nil {
			return wireError(err)
		}
	}
	return nil
}

// newMessage copies the body out of the block, which is reused.
func (c *conn) newMessage(cmd smp.SEND) *queue.Message {
	m := &queue.Message{Time: c.srv.now(), Notify: cmd.Notify, Body: clone(cmd.Body)}
	_, _ = rand.Read(m.ID[:])
	return m
}
