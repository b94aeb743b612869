package server

import (
	"context"

	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
)

// execute runs the authorised commands of a block in order. Neighbours of one kind that wait for the store, SUB, SEND,
// ACK and NSUB, run together, so that they share its round trips and its commits.
//
// Spec: smp.md 5.3
func (c *conn) execute(ctx context.Context, w *work) {
	for i := 0; i < len(w.requests); {
		r := &w.requests[i]
		if r.err != nil || r.resp != nil {
			i++
			continue
		}
		run := w.requests[i : i+runLength(w.requests[i:])]
		switch r.cmd.(type) {
		case smp.SUB:
			c.subscribe(ctx, w, run)
		case smp.SEND:
			c.send(ctx, run)
		case smp.ACK:
			c.acknowledge(ctx, w, run)
		case smp.NSUB:
			c.subscribeNotifiers(ctx, run)
		default:
			c.executeOne(ctx, w, r)
			c.refresh(ctx, r, w.requests[i+1:])
			c.answerPart(w, i+1)
		}
		i += len(run)
	}
}

// runLength counts the requests from the first that can run with it. Refused ones in between do not matter.
func runLength(requests []request) int {
	kind := requests[0].cmd.Tag()
	switch kind {
	case "SUB", "SEND", "ACK", "NSUB":
	default:
		return 1
	}
	n := 1
	for n < len(requests) && (requests[n].err != nil || requests[n].cmd.Tag() == kind) {
		n++
	}
	return n
}

// executeOne runs a command that has the store to itself.
//
// Spec: smp.md 9.1
func (c *conn) executeOne(ctx context.Context, w *work, r *request) {
	var err error
	switch cmd := r.cmd.(type) {
	case smp.NEW:
		r.resp, err = c.create(ctx, w, r, cmd)
	case smp.KEY:
		r.resp, err = c.secure(ctx, r.queue, cmd.SenderKey)
	case smp.SKEY:
		r.resp, err = c.secure(ctx, r.queue, cmd.SenderKey)
	case smp.RKEY:
		r.resp, err = c.setRecipientKeys(ctx, r.queue, cmd.Keys)
	case smp.NKEY:
		r.resp, err = c.setNotifier(ctx, r.queue, cmd)
	case smp.NDEL:
		r.resp, err = c.deleteNotifier(ctx, r.queue)
	case smp.NSUBS:
		r.resp, err = c.serveAll(ctx)
	case smp.LSET:
		r.resp, err = c.srv.setLink(ctx, r.queue, cmd)
	case smp.LDEL:
		r.resp, err = smp.OK{}, c.srv.store.DeleteLink(ctx, r.queue.Ref)
	case smp.LKEY:
		r.resp, err = c.srv.secureByLink(ctx, r.queue, r.id, cmd.SenderKey)
	case smp.LGET:
		r.resp, err = c.srv.showLink(ctx, r.queue, r.id)
	case smp.GET:
		err = c.get(ctx, w, r)
	case smp.OFF:
		r.resp, err = smp.OK{}, c.srv.store.Suspend(ctx, r.queue.Ref)
	case smp.DEL:
		r.resp, err = c.delete(ctx, r.queue)
	case smp.QUE:
		r.resp, err = c.info(ctx, r.queue)
	case smp.PRXY:
		err = c.connectRelay(ctx, r, cmd)
	case smp.PFWD:
		err = c.sendToRelay(ctx, r, cmd)
	case smp.RFWD:
		err = c.forward(ctx, r, cmd)
	case smp.PING:
		r.resp = smp.PONG{}
	default:
		err = smp.CmdProhibited
	}
	if err != nil {
		r.resp, r.msg, r.err = nil, nil, wireError(err)
	}
	if large(r.resp) {
		w.held++
	}
	if r.queue != nil && r.err == nil {
		c.used(r.queue, r.cmd)
	}
}

// used refreshes the day of a queue's last use.
//
// Spec: smp.md 9.1 column T
func (c *conn) used(q *queue.Queue, cmd smp.Command) {
	switch cmd.(type) {
	case smp.OFF, smp.DEL:
		return
	}
	if day := queue.Day(c.srv.now()); day > q.UpdatedDay {
		c.srv.store.Touch(q, day)
	}
}

// refresh lets the rest of the block see what r changed about its queue. What was authorised stays so.
func (c *conn) refresh(ctx context.Context, r *request, rest []request) {
	switch r.cmd.(type) {
	case smp.KEY, smp.SKEY, smp.RKEY, smp.NKEY, smp.NDEL, smp.LSET, smp.LDEL, smp.LKEY, smp.OFF, smp.DEL:
	default:
		return
	}
	for i := range rest {
		next := &rest[i]
		if next.err != nil || next.queue == nil || next.queue.Ref != r.queue.Ref {
			continue
		}
		found, err := c.srv.store.ByRecipient(ctx, []queue.ID{r.queue.RecipientID}, false)
		switch {
		case err != nil:
			next.err = wireError(err)
		case found.Queues[0] == nil:
			next.err = smp.ErrAuth
		default:
			next.queue = found.Queues[0]
		}
	}
}
