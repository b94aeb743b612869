package server

import (
	"errors"
	"sync"
	"time"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/box"
	"sotto/shared/logging"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

var packerPool = sync.Pool{New: func() any { return new(packing) }}

// packing is the writer's working memory: a payload under construction and a message body before it is sealed.
type packing struct {
	payload [2 * wire.BlockSize]byte // a block, and a transmission that turns out not to fit it
	body    [smp.PaddedBodySize]byte
	packer  wire.Packer
}

// run writes until nothing waits. It is a connection's second goroutine.
func (o *outbox) run() {
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(o.c.srv.log, p)
			o.c.abort()
		}
	}()
	p := packerPool.Get().(*packing)
	defer packerPool.Put(p)
	for pulled := true; ; pulled = !pulled {
		g, pull, notes := o.next(!pulled)
		switch {
		case notes:
			if !o.writeNotifications(p) {
				o.c.abort()
			}
		case pull != nil:
			if !o.c.pull(pull) {
				o.c.abort()
			}
		case g == nil:
			return
		case o.c.writeGroup(p, g) != nil:
			o.c.abort()
		}
	}
}

// writeNotifications writes one block of notifications, and asks for the next.
func (o *outbox) writeNotifications(p *packing) bool {
	g := o.c.takeNotifications()
	if len(g) == 0 {
		return true
	}
	o.notify()
	return o.c.writeGroup(p, g) == nil
}

// pull reads the heads of queues that have no message in flight and queues them, one in a block.
func (c *conn) pull(subs []*hub.Subscription) bool {
	var (
		refs  [pullBatch]queue.Ref
		marks [pullBatch]hub.Mark
		heads [pullBatch]queue.Head
	)
	for i, s := range subs {
		refs[i], marks[i] = s.Queue.Ref, c.srv.hub.MarkOf(s)
	}
	c.srv.store.Heads(c.srv.work, refs[:len(subs)], heads[:len(subs)])
	for i, s := range subs {
		if errors.Is(heads[i].Err, queue.ErrNotFound) {
			continue // deleted meanwhile, which takes the subscription with it
		}
		if heads[i].Err != nil {
			return false // clients take the loss of a connection as temporary
		}
		if m := heads[i].Message; c.srv.hub.Pull(s, m, marks[i]) {
			c.out.force(group{{entityID: s.Queue.RecipientID[:], msg: m, q: s.Queue}})
		}
	}
	return true
}

// writeGroup packs the replies into blocks and writes them. A reply that no block has room for is left out.
//
// Spec: smp.md 5.2
func (c *conn) writeGroup(p *packing, g group) error {
	p.packer.Reset(p.payload[:0])
	for i := range g {
		t := c.appendReply(p, p.packer.Begin(), &g[i])
		if p.packer.Commit(t) {
			continue
		}
		next := p.packer.Pending(t)
		if err := c.writePayload(p); err != nil {
			return err
		}
		p.packer.Add(next) // one that no block has room for, with a long correlation id, is left out
	}
	return c.writePayload(p)
}

func (c *conn) writePayload(p *packing) error {
	if p.packer.Count() == 0 {
		return nil
	}
	if limit := c.srv.cfg.StallTimeout; limit > 0 {
		if err := c.raw.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
	}
	err := c.blocks.WriteBlock(p.packer.Payload())
	c.srv.count.BlocksSent.Add(1)
	p.packer.Reset(p.payload[:0])
	c.touch()
	return err
}

// appendReply appends one transmission in this connection's version.
//
// Spec: smp.md 6.1
func (c *conn) appendReply(p *packing, dst []byte, r *reply) []byte {
	dst = wire.AppendResponseHeader(dst, c.version, c.session.ID, r.corrID, r.entityID)
	if r.msg != nil {
		c.srv.count.MessagesDelivered.Add(1)
		return appendMessage(dst, p.body[:0], r.q, r.msg)
	}
	c.srv.count.event(r.resp)
	return r.resp.AppendResponse(dst, c.version)
}

// appendMessage seals m for q's recipient.
//
// Spec: smp.md 10.1
func appendMessage(dst, scratch []byte, q *queue.Queue, m *queue.Message) []byte {
	var body []byte
	if m.Quota {
		body = smp.AppendQuota(scratch, m.Time.Unix())
	} else {
		body = smp.AppendReceived(scratch, m.Time.Unix(), m.Notify, m.Body)
	}
	dst = smp.MSG{MessageID: m.ID[:]}.AppendResponse(dst, 0) // its body follows
	nonce, secret := [box.NonceSize]byte(m.ID), [box.KeySize]byte(q.DHSecret)
	dst, err := box.SealPadded(dst, body, &nonce, &secret, smp.PaddedBodySize)
	if err != nil {
		panic("stored message exceeds the limit") // SEND checked its length
	}
	return dst
}
