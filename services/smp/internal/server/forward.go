package server

import (
	"context"
	"runtime"
	"sync"

	"sotto/shared/box"
	"sotto/shared/logging"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// forwardsAtOnce is how many forwarded commands of one connection run together, and how many more may wait. One proxy
// speaks for many senders, so together they share look-ups and commits. One that waits holds 32 KB, an answer that is not
// taken 16 KB: 1.5 MB in all.
const forwardsAtOnce = 32

// forward is one RFWD, from its arrival to its answer.
//
// Spec: smp.md 11.5
type forward struct {
	corrID  []byte            // of RFWD, the nonce of the outer layer
	asked   []byte            // the correlation id of PFWD, the nonce of the inner one
	version wire.Version      // of the command inside
	secret  [box.KeySize]byte // shared with the sender of that
	refused smp.Error         // RFWD itself fails
	request request           // the command inside
	sealed  []byte            // a view of sealedIn
	answer  smp.Response

	sealedIn, opened [wire.BlockSize]byte
}

var forwardPool = sync.Pool{New: func() any { return new(forward) }}

func (f *forward) release() {
	f.corrID, f.asked, f.sealed, f.answer, f.refused, f.request = f.corrID[:0], f.asked[:0], nil, nil, nil, request{}
	clear(f.secret[:])
	forwardPool.Put(f)
}

// forwards are the forwarded commands of a connection that have no answer yet. They run in a goroutine of their own, so
// that those which arrive meanwhile come next together.
type forwards struct {
	mu      sync.Mutex
	change  sync.Cond // room, or nothing left
	waiting []*forward
	running bool
}

// forwardOnly reports whether a block is nothing but RFWD. All others wait for those before them: commands keep their
// order.
func forwardOnly(requests []request) bool {
	for i := range requests {
		if _, ok := requests[i].cmd.(smp.RFWD); !ok {
			return false
		}
	}
	return true
}

// forward takes an RFWD. Its answer comes later.
//
// Spec: smp.md 11.5
func (c *conn) forward(ctx context.Context, r *request, cmd smp.RFWD) error {
	if !c.knowsProxy() {
		return smp.BrokerTransport{Err: smp.TransportNoAuth}
	}
	f := forwardPool.Get().(*forward)
	f.corrID = append(f.corrID[:0], r.tr.CorrID...)
	f.sealed = f.sealedIn[:copy(f.sealedIn[:], cmd.Encrypted)]
	r.later = true
	q := &c.forwards
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.waiting) >= forwardsAtOnce {
		q.change.Wait()
	}
	q.waiting = append(q.waiting, f)
	if !q.running {
		q.running = true
		go c.runForwards(ctx)
	}
	return nil
}

// knowsProxy makes the secret shared with the proxy, once. Without a key in its hello there is none.
func (c *conn) knowsProxy() bool {
	if c.proxySecret != nil {
		return true
	}
	if c.clientKey.IsZero() || c.sessionKey == nil {
		return false
	}
	secret, err := box.DH(c.clientKey, c.sessionKey)
	if err != nil {
		return false
	}
	c.proxySecret = &secret
	return true
}

// awaitForwards waits until all forwarded commands are answered.
func (c *conn) awaitForwards() {
	q := &c.forwards
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.running {
		q.change.Wait()
	}
}

// runForwards runs forwarded commands until none waits.
func (c *conn) runForwards(ctx context.Context) {
	q := &c.forwards
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(c.srv.log, p)
			c.abort()
			q.mu.Lock()
			q.running, q.waiting = false, nil
			q.change.Broadcast()
			q.mu.Unlock()
		}
	}()
	for {
		q.mu.Lock()
		batch := q.waiting
		q.waiting = nil
		q.running = len(batch) > 0
		q.change.Broadcast()
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		c.answerForwards(ctx, batch)
	}
}

// answerForwards runs commands of a batch as those of one block, and answers each in a block of its own.
func (c *conn) answerForwards(ctx context.Context, batch []*forward) {
	w := workPool.Get().(*work)
	defer func() {
		w.reset()
		workPool.Put(w)
	}()
	w.forwarded = true
	c.each(batch, c.openForward)
	for _, f := range batch {
		if f.refused == nil {
			w.requests = append(w.requests, f.request)
		}
	}
	w.blocks = c.srv.moderated.Load()
	c.authorize(ctx, w)
	c.execute(ctx, w)
	done := w.requests
	for _, f := range batch {
		if f.refused == nil {
			f.request, done = done[0], done[1:]
			c.srv.count.ForwardedCommand(f.request.cmd, f.request.err)
		}
	}
	c.each(batch, c.sealForward)
	answers := make(group, len(batch))
	for i, f := range batch {
		c.srv.count.Command(smp.RFWD{}, f.refused)
		answers[i] = reply{corrID: clone(f.corrID), resp: f.answer}
		f.release()
	}
	for i := range answers { // the proxy may take its time
		c.out.put(group{answers[i]})
		answers[i] = reply{}
	}
}

// each does the cryptography of a batch, on all processors.
func (c *conn) each(batch []*forward, do func(*forward)) {
	workers := min(runtime.GOMAXPROCS(0), len(batch))
	var wg sync.WaitGroup
	for n := range workers {
		wg.Go(func() {
			for i := n; i < len(batch); i += workers {
				c.guarded(batch[i], do)
			}
		})
	}
	wg.Wait()
}

// guarded keeps a bug in a goroutine of each from ending the relay: the command is refused, and the connection ends.
func (c *conn) guarded(f *forward, do func(*forward)) {
	defer func() {
		if p := recover(); p != nil {
			logging.Panic(c.srv.log, p)
			f.refused, f.answer = smp.ErrInternal, smp.ERR{Err: smp.ErrInternal}
			c.abort()
		}
	}()
	do(f)
}

// openForward takes both layers off, and parses what is inside.
//
// Spec: smp.md 11.5 steps 2 to 5
func (c *conn) openForward(f *forward) {
	nonce := box.NonceFrom(f.corrID)
	plain, ok := box.Open(f.opened[:0], f.sealed, &nonce, c.proxySecret)
	if !ok {
		f.refused = smp.ErrCrypto
		return
	}
	inside, err := smp.ParseForwardTransmission(plain)
	if err != nil {
		f.refused = smp.CmdSyntax
		return
	}
	f.version, f.asked = inside.Version, append(f.asked[:0], inside.CorrID...)
	if f.secret, err = box.DH(inside.Key, c.sessionKey); err != nil {
		f.refused = smp.ErrCrypto
		return
	}
	nonce = box.NonceFrom(f.asked)
	payload, err := box.OpenPadded(f.sealedIn[:0], inside.Encrypted, &nonce, &f.secret)
	if err != nil {
		f.refused = smp.ErrCrypto
		return
	}
	f.request, f.refused = c.parseForwarded(f.version, payload)
}

// parseForwarded parses the batch inside, which is one transmission. What does not parse is a failed command, not a failed
// RFWD.
//
// Spec: smp.md 11.5 steps 4 and 5
func (c *conn) parseForwarded(v wire.Version, payload []byte) (r request, refused smp.Error) {
	r.version, r.forwarded, r.err = v, true, smp.ErrBlock
	batch, err := wire.ParseBatch(payload)
	if err != nil {
		return r, nil
	}
	first, ok := batch.Next()
	if !ok {
		return r, nil
	}
	if _, more := batch.Next(); more {
		return r, smp.ErrBlock
	}
	r = c.parse(first, v, true)
	if r.err != nil {
		return r, nil
	}
	switch r.cmd.(type) {
	case smp.SEND, smp.SKEY, smp.LKEY, smp.LGET:
	default:
		r.err = smp.CmdProhibited
	}
	return r, nil
}

// sealForward makes the answer, in both layers.
//
// Spec: smp.md 11.5 step 6
func (c *conn) sealForward(f *forward) {
	if f.refused == nil {
		f.answer = c.sealAnswer(f)
	}
	if f.refused != nil {
		f.answer = smp.ERR{Err: f.refused}
	}
}

func (c *conn) sealAnswer(f *forward) smp.Response {
	r := &f.request
	resp := r.resp
	if r.err != nil {
		resp = smp.ERR{Err: r.err}
	}
	response := wire.AppendResponseHeader(f.opened[:0], f.version, nil, r.tr.CorrID, r.tr.EntityID)
	response = resp.AppendResponse(response, f.version)
	var p wire.Packer
	p.Reset(make([]byte, 0, wire.BlockSize))
	if !p.Add(response) {
		f.refused = smp.ErrBlock
		return nil
	}
	nonce := box.Reverse(box.NonceFrom(f.asked))
	inner, err := box.SealPadded(f.sealedIn[:0], p.Payload(), &nonce, &f.secret, smp.PaddedForwardSize)
	if err != nil {
		f.refused = smp.ErrBlock
		return nil
	}
	plain := smp.ForwardResponse{CorrID: f.asked, Encrypted: inner}.AppendTo(f.opened[:0])
	nonce = box.Reverse(box.NonceFrom(f.corrID))
	return smp.RRES{Encrypted: box.Seal(make([]byte, 0, len(plain)+box.Overhead), plain, &nonce, c.proxySecret)}
}
