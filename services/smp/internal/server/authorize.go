package server

import (
	"context"
	"runtime"
	"slices"
	"sync"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
	"sotto/shared/logging"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// authorize looks up the queues of a block, at most one round trip per party, and verifies who sent each command.
// A refusal costs the same work and gives the same bytes whether the queue is unknown or the key is wrong.
//
// Spec: smp.md 6.5
func (c *conn) authorize(ctx context.Context, w *work) {
	for in := byRecipient; in < indexes; in++ {
		c.lookup(ctx, w, in, false)
	}
	c.verify(w)
	// An unknown queue was looked up in the database. One that is known from memory is, too, before it refuses.
	for in := byRecipient; in < indexes; in++ {
		c.lookup(ctx, w, in, true)
	}
}

// index is one of the indexes of ids that commands are looked up in. Spec: smp.md 6.6 step 5
type index uint8

const (
	none index = iota
	byRecipient
	bySender
	byNotifier
	byLink
	indexes
)

func indexOf(cmd smp.Command) index {
	switch cmd.Party() {
	case smp.Recipient:
		return byRecipient
	case smp.Sender:
		return bySender
	case smp.Notifier:
		return byNotifier
	case smp.Link:
		return byLink
	default:
		return none
	}
}

// find returns the store's look-up in the index.
func (s *Server) find(in index) func(context.Context, []queue.ID, bool) (queue.Lookup, error) {
	switch in {
	case bySender:
		return s.store.BySender
	case byNotifier:
		return s.store.ByNotifier
	case byLink:
		return s.store.ByLink
	default:
		return s.store.ByRecipient
	}
}

// scratch collects the ids of one lookup.
type scratch struct {
	ids []queue.ID
	at  []int // the request of each id
}

func (s *scratch) reset() { s.ids, s.at = s.ids[:0], s.at[:0] }

// lookup finds the queues of all commands of one party. With again set it only repeats, in the database, the lookup
// of refused commands that were answered from memory, and ignores the result.
func (c *conn) lookup(ctx context.Context, w *work, in index, again bool) {
	w.scratch.reset()
	for i := range w.requests {
		r := &w.requests[i]
		if r.cmd == nil || !r.isID || indexOf(r.cmd) != in || (again && (r.err != smp.ErrAuth || !r.cached)) {
			continue
		}
		w.ids, w.at = append(w.ids, r.id), append(w.at, i)
	}
	if len(w.ids) == 0 {
		return
	}
	found, err := c.srv.find(in)(ctx, w.ids, again)
	if again {
		return
	}
	// If one of them had to be asked for, all have taken as long as an unknown one.
	asked := slices.Contains(found.Cached, false)
	for n, i := range w.at {
		if err != nil {
			w.requests[i].err = wireError(err)
			continue
		}
		w.requests[i].queue, w.requests[i].cached = found.Queues[n], !asked
	}
}

// parallelFrom is the number of commands from which a block is verified by several goroutines: below it starting
// them costs more than it saves (one verification takes about 50 microseconds).
const parallelFrom = 8

// verify checks the authorization of every request that has not failed yet.
func (c *conn) verify(w *work) {
	workers := min(runtime.GOMAXPROCS(0), len(w.requests)/parallelFrom)
	if workers < 2 {
		c.verifyRange(w.requests)
		return
	}
	var wg sync.WaitGroup
	share := (len(w.requests) + workers - 1) / workers
	for part := w.requests; len(part) > 0; {
		n := min(share, len(part))
		mine := part[:n]
		part = part[n:]
		wg.Go(func() {
			defer c.refuseAfterBug(mine)
			c.verifyRange(mine)
		})
	}
	wg.Wait()
}

// refuseAfterBug is deferred by the goroutines of verify: what they could not verify does not execute, and the
// connection ends, as it would by a bug in its own goroutine.
func (c *conn) refuseAfterBug(requests []request) {
	p := recover()
	if p == nil {
		return
	}
	logging.Panic(c.srv.log, p)
	for i := range requests {
		requests[i].err = smp.ErrInternal
	}
	c.abort()
}

func (c *conn) verifyRange(requests []request) {
	buf := authorizedPool.Get().(*[]byte)
	defer authorizedPool.Put(buf)
	for i := range requests {
		if r := &requests[i]; r.err == nil {
			*buf = wire.AppendAuthorized((*buf)[:0], c.session.ID, r.tr.Signed)
			r.err = c.check(r, *buf)
		}
	}
}

var authorizedPool = sync.Pool{New: func() any { b := make([]byte, 0, wire.BlockSize+64); return &b }}

// check decides whether r may execute. authorized are the bytes that its authorization must be over.
//
// Spec: smp.md 6.6 steps 6 to 9
func (c *conn) check(r *request, authorized []byte) smp.Error {
	verify := func(k key.Public) bool {
		return c.srv.verify(k, c.sessionKey, r.tr.CorrID, r.tr.Authorization, authorized)
	}
	if r.queue == nil && indexOf(r.cmd) != none {
		verify(key.Public{})
		return smp.ErrAuth
	}
	if err := c.checkService(r, &authorized); err != nil {
		return err
	}
	switch cmd := r.cmd.(type) {
	case smp.NEW:
		return authIf(verify(cmd.AuthKey))
	case smp.SKEY:
		return checkSenderKey(r.queue, cmd.SenderKey, verify)
	case smp.LKEY:
		return checkSenderKey(r.queue, cmd.SenderKey, verify)
	case smp.LGET:
		return checkLinkOf(r.queue, verify)
	case smp.NSUB:
		return authIf(verify(r.queue.Notifier.Key))
	case smp.SEND:
		return c.checkSend(r, verify)
	case smp.PING, smp.PRXY, smp.PFWD, smp.RFWD, smp.SUBS, smp.NSUBS:
		return nil
	}
	return checkRecipient(r, verify)
}

func authIf(ok bool) smp.Error {
	if ok {
		return nil
	}
	return smp.ErrAuth
}

// checkRecipient tries the queue's recipient keys one by one.
func checkRecipient(r *request, verify func(key.Public) bool) smp.Error {
	for _, k := range r.queue.RecipientKeys {
		if verify(k) {
			return blockedIf(r.queue, r.cmd)
		}
	}
	return smp.ErrAuth
}

// checkSenderKey judges SKEY and LKEY: only a messaging queue that is unsecured or has the same key takes it.
//
// Spec: smp.md 9.3
func checkSenderKey(q *queue.Queue, k key.Public, verify func(key.Public) bool) smp.Error {
	if q.Mode != queue.ModeMessaging || (q.Secured() && q.SenderKey != k) {
		verify(key.Public{})
		return smp.ErrAuth
	}
	if !verify(k) {
		return smp.ErrAuth
	}
	return blockedIf(q, smp.SKEY{})
}

// checkLinkOf judges LGET, which needs no authorization: only contact queues show their link data to everybody.
//
// Spec: smp.md 9.12
func checkLinkOf(q *queue.Queue, verify func(key.Public) bool) smp.Error {
	if q.Mode == queue.ModeMessaging || (q.Mode == queue.ModeNone && q.Secured()) {
		verify(key.Public{})
		return smp.ErrAuth
	}
	return blockedIf(q, smp.LGET{})
}

// checkSend judges SEND: an unsecured queue takes none but unauthorized messages, a secured one the sender's.
//
// Spec: smp.md 8.2
func (c *conn) checkSend(r *request, verify func(key.Public) bool) smp.Error {
	if !r.queue.Secured() {
		if len(r.tr.Authorization) == 0 {
			return nil
		}
		verify(key.Public{})
		return smp.ErrAuth
	}
	return authIf(verify(r.queue.SenderKey))
}

// blockedIf refuses most commands of a blocked queue to those who proved that it is theirs.
//
// Spec: smp.md 8.3
func blockedIf(q *queue.Queue, cmd smp.Command) smp.Error {
	if q.Status != queue.Blocked {
		return nil
	}
	switch cmd.(type) {
	case smp.OFF, smp.DEL:
		return nil
	}
	return blockedError(q)
}
