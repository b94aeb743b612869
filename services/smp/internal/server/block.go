package server

import (
	"context"
	"sync"

	"sotto/services/smp/internal/hub"
	"sotto/services/smp/internal/queue"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// request is one transmission of a block on its way to an answer. Its byte slices are views into the block.
type request struct {
	tr        wire.Transmission
	version   wire.Version // that the command is written in
	forwarded bool         // by a proxy: not for the connection that it came by
	later     bool         // the answer is not one of the block's
	cmd       smp.Command
	id        queue.ID     // the entity, when isID
	isID      bool         // it has the length of an id
	queue     *queue.Queue // found by the entity id in the index of the command's party
	cached    bool         // found without a round trip to the database
	err       smp.Error    // the answer, when a check failed
	resp      smp.Response // the answer otherwise
	msg       *queue.Message
}

// work is the state of one block, reused for others.
type work struct {
	requests  []request
	answered  int                 // of requests, whose answers are queued
	held      int                 // messages and link data among the answers that are not
	blocks    uint64              // by the operator, before the requests were authorised
	settle    []*hub.Subscription // busy until the answers are queued
	messages  group               // messages that follow the answers
	forwarded bool                // by a proxy, each in a block of its own
	scratch
}

var workPool = sync.Pool{New: func() any { return new(work) }}

func (w *work) reset() {
	clear(w.requests)
	clear(w.settle)
	w.requests, w.settle, w.messages = w.requests[:0], w.settle[:0], nil
	w.answered, w.held, w.forwarded = 0, 0, false
	w.scratch.reset()
}

// process answers one block. All its commands are authorised before the first executes; they execute in order and
// are answered as a unit.
//
// Spec: smp.md 5.3
func (c *conn) process(ctx context.Context, payload []byte) {
	w := workPool.Get().(*work)
	defer func() {
		w.reset()
		workPool.Put(w)
	}()
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		c.out.put(group{{resp: smp.ERR{Err: smp.ErrBlock}}})
		return
	}
	for t, ok := batch.Next(); ok; t, ok = batch.Next() {
		w.requests = append(w.requests, c.parse(t, c.version, false))
	}
	if !forwardOnly(w.requests) {
		c.awaitForwards()
	}
	if !c.keepPace(w.requests) {
		c.leaving.Store(true)
		return
	}
	w.blocks = c.srv.moderated.Load()
	c.authorize(ctx, w)
	c.execute(ctx, w)
	c.answer(w)
}

// parse does the checks of a transmission that need nothing but its bytes.
//
// Spec: smp.md 6.6
func (c *conn) parse(b []byte, v wire.Version, forwarded bool) (r request) {
	r.version, r.forwarded = v, forwarded
	tr, err := wire.ParseTransmission(v, forwarded, b)
	if err != nil {
		r.err = smp.ErrBlock
		return r
	}
	r.tr = tr
	if v == smp.MinVersion && !forwarded && string(tr.SessionID) != string(c.session.ID) {
		return r.refuseAnonymously(smp.ErrSession)
	}
	switch len(tr.Authorization) {
	case 0, 64, 80, 114:
	default:
		return r.refuseAnonymously(smp.ErrBlock)
	}
	cmd, err := smp.ParseCommand(v, tr.Command)
	if err == nil {
		err = smp.CheckCredentials(cmd, len(tr.Authorization) > 0, len(tr.EntityID) > 0)
	}
	if err != nil {
		r.err = wireError(err)
		return r
	}
	r.cmd = cmd
	r.id, r.isID = queue.ParseID(tr.EntityID)
	return r
}

// refuseAnonymously refuses with the correlation id but an empty entity id.
func (r request) refuseAnonymously(e smp.Error) request {
	r.err, r.tr.EntityID = e, nil
	return r
}

// answer queues the answers of a block, then lets messages flow to the queues that it subscribed or acknowledged.
//
// Spec: smp.md 5.3
func (c *conn) answer(w *work) {
	g := w.group(len(w.requests), &c.srv.count)
	// With few answers the first message goes with them; with many, messages come by themselves.
	if len(w.messages) > 0 && len(w.requests) <= answersWithMessage {
		g = append(g, w.messages[0])
		w.messages = w.messages[1:]
	}
	c.out.put(g)
	for i := range w.messages {
		c.out.put(group{w.messages[i]})
	}
	for _, s := range w.settle {
		c.srv.hub.Settle(s)
	}
}

// answersWithMessage is the number of answers up to which a message is sent in their group. Spec: smp.md 5.3
const answersWithMessage = 4

// heldMessages bounds the bodies that the answers to one block hold. When GET or LGET has brought so many, their answers are
// queued before the block goes on; beyond it ACK is answered with OK, and the next message comes by itself.
const heldMessages = 8

// answerPart queues the answers to the first n requests when they hold as many bodies as they may.
func (c *conn) answerPart(w *work, n int) {
	if w.held >= heldMessages && !w.forwarded {
		c.out.put(w.group(n, &c.srv.count))
	}
}

// group counts the requests up to the nth that have no replies yet, and makes these, with ids of their own since the block is
// reused.
func (w *work) group(n int, counters *Counters) group {
	requests := w.requests[w.answered:n]
	w.answered, w.held = n, 0
	size := 0
	for i := range requests {
		size += len(requests[i].tr.CorrID) + len(requests[i].tr.EntityID)
	}
	ids := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		at := len(ids)
		ids = append(ids, b...)
		return ids[at:len(ids):len(ids)]
	}
	g := make(group, 0, len(requests)+1)
	for i := range requests {
		r := &requests[i]
		if r.later {
			continue
		}
		counters.Command(r.cmd, r.err)
		one := reply{corrID: keep(r.tr.CorrID), entityID: keep(r.tr.EntityID), resp: r.resp}
		switch {
		case r.err != nil:
			one.resp = smp.ERR{Err: r.err}
		case r.msg != nil:
			one.resp, one.msg, one.q = nil, r.msg, r.queue
			r.msg = nil // the client may take its time
		}
		g = append(g, one)
	}
	return g
}
