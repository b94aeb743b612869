package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Request is one command. Its slices must not change before the call has returned.
type Request struct {
	Command smp.Command
	// Entity is the queue, link or other entity of the command; nil for none.
	Entity wire.EntityID
	// Key authorizes the command; the zero value leaves it unauthorized.
	Key auth.Key
	// CorrID is the correlation id; nil: 24 random bytes, as it should be unless they have a meaning (link data in
	// NEW). Calls take 24 bytes only; [Conn.Send] takes 0 to 255 and sets it if it is nil.
	CorrID wire.CorrID

	// What tests need to be hostile:

	// Encoded, if not nil, is sent instead of Command.
	Encoded []byte
	// Authorization, if not nil, is sent instead of what Key would make.
	Authorization []byte
	// ServiceSignature, if not nil, is sent in the second slot. Spec: smp.md 6.4
	ServiceSignature []byte
}

// Format prints a placeholder, whatever the verb.
func (Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[request]") }

// Reply is the answer to one request.
type Reply struct {
	// Response is nil if Err is set. Its slices are valid until Release.
	Response smp.Response
	// Err is the [smp.Error] of an ERR, a [*ResponseError], a [*ConnError] or the error of the context.
	Err error

	in *inbound
}

// Release gives the reply's memory back, for reuse. Calling it is optional, and allowed once; the slices of Response
// must not be used afterwards.
func (r *Reply) Release() {
	if r.in != nil {
		r.in.release()
		r.in = nil
	}
}

// answer is a reply as it arrived.
type answer struct {
	in       *inbound // holds entity and response
	entity   []byte
	response []byte
	err      error
}

// slot is the place of an expected answer.
type slot struct {
	call  *Call
	index int
}

// Call is one request, or several, on the way.
type Call struct {
	client  *Client
	ready   chan struct{} // has room for one: all answers are there
	entity  [][]byte      // of each request
	ids     []corrID      // of each request
	answers []answer      // in the order of requests; those of pending requests belong to the reader
	left    int           // answers to come, and one while requests are added; guarded by client.mu
}

var callPool = sync.Pool{New: func() any { return &Call{ready: make(chan struct{}, 1)} }}

// newCall returns a call with room for n answers, which must not move once the reader may write them.
func (c *Client) newCall(n int) *Call {
	k := callPool.Get().(*Call)
	k.client = c
	k.answers = slices.Grow(k.answers, n)[:n]
	return k
}

// recycle drops what k refers to. Nobody may use it any more.
func (k *Call) recycle() {
	clear(k.entity)
	clear(k.answers)
	k.client, k.left = nil, 0
	k.entity, k.ids, k.answers = k.entity[:0], k.ids[:0], k.answers[:0]
	callPool.Put(k)
}

// discard drops all answers, and the call.
func (k *Call) discard() {
	for i := range k.answers {
		r := Reply{in: k.answers[i].in}
		r.Release()
	}
	k.recycle()
}

// answer stores an answer. The lock of the client is held.
func (k *Call) answer(index int, a answer) {
	k.answers[index] = a
	k.count()
}

// count notes that one thing less is to be waited for, and wakes who waits after the last. The lock is held.
func (k *Call) count() {
	if k.left--; k.left == 0 {
		k.ready <- struct{}{}
	}
}

// Start sends a command without waiting for the answer, only for room if many blocks wait to be written. The caller
// must call Wait or WaitAll of the result, once. An error means that nothing was sent.
func (c *Client) Start(ctx context.Context, r Request) (*Call, error) { return c.start(ctx, &r) }

func (c *Client) start(ctx context.Context, r *Request) (*Call, error) {
	id, err := r.corrID()
	if err != nil {
		return nil, err
	}
	s := takeScratch()
	defer s.release()
	if err := c.conn.prepare(s, r, id[:]); err != nil {
		return nil, err
	}
	if err := c.lockRoom(ctx); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	k := c.newCall(1)
	k.add(id, r.Entity)
	if err := c.register(k, 0); err != nil {
		k.recycle()
		return nil, err
	}
	if !c.enqueue(s) {
		delete(c.pending, id)
		k.recycle()
		return nil, ErrTooLarge
	}
	return k, nil
}

// enqueue puts a prepared transmission into the last block of the queue, or into a new one. The lock is held.
func (c *Client) enqueue(s *scratch) bool {
	if n := len(c.queue); n > 0 && !c.queue[n-1].whole && c.conn.pack(c.queue[n-1], s) {
		return true
	}
	b := takeOutbound()
	if !c.conn.pack(b, s) {
		b.release()
		return false
	}
	c.push(b)
	return true
}

// push queues a block and wakes the writer. The lock is held.
func (c *Client) push(b *outbound) {
	c.queue = append(c.queue, b)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// lockRoom takes the lock once a block may be queued. If it returns an error the lock is not held.
func (c *Client) lockRoom(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.mu.Lock()
		if c.err != nil || len(c.queue) < maxQueued {
			break
		}
		room := c.room
		c.crowded = true
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.done:
		case <-ctx.Done():
		}
	}
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	return nil
}

// corrID returns the request's correlation id or a new one.
func (r *Request) corrID() (corrID, error) {
	switch {
	case r.CorrID == nil:
		return newCorrID(), nil
	case len(r.CorrID) != corrIDSize:
		return corrID{}, ErrCorrID
	}
	return corrID(r.CorrID), nil
}

// add notes that an answer to id, for entity, belongs to the call.
func (k *Call) add(id corrID, entity []byte) {
	k.ids = append(k.ids, id)
	k.entity = append(k.entity, entity)
}

// register makes the requests of k from the given one on pending, or returns [ErrCorrID]. The lock is held.
func (c *Client) register(k *Call, from int) error {
	for i := from; i < len(k.ids); i++ {
		if _, taken := c.pending[k.ids[i]]; taken {
			return ErrCorrID
		}
		c.pending[k.ids[i]] = slot{call: k, index: i}
		k.left++
	}
	return nil
}

// Wait waits for the answer to a call of one request. The call must not be used afterwards. The error is that of the
// reply.
func (k *Call) Wait(ctx context.Context) (Reply, error) {
	k.wait(ctx)
	r := k.reply(0)
	k.recycle()
	return r, r.Err
}

// WaitAll waits for the answers to all requests and appends them to dst in the order of the requests, whatever the
// order of the answers. The call must not be used afterwards. Each reply has its own error; requests that were not
// answered have that of the connection or of the context.
func (k *Call) WaitAll(ctx context.Context, dst []Reply) []Reply {
	k.wait(ctx)
	for i := range k.answers {
		dst = append(dst, k.reply(i))
	}
	k.recycle()
	return dst
}

// wait waits until all answers are there. When ctx ends it gives up the others.
func (k *Call) wait(ctx context.Context) {
	select {
	case <-k.ready:
	case <-ctx.Done():
		k.giveUp(ctx.Err())
	}
}

// giveUp answers with err what was not answered.
func (k *Call) giveUp(err error) {
	c := k.client
	c.mu.Lock()
	k.drop(err)
	c.mu.Unlock()
	<-k.ready
}

// drop takes the requests of k that are pending out, with err as their answer. The lock is held.
func (k *Call) drop(err error) {
	for _, id := range k.ids {
		if s, ok := k.client.pending[id]; ok && s.call == k {
			delete(k.client.pending, id)
			k.answer(s.index, answer{err: err})
		}
	}
}

// reply parses an answer and checks that it is for the entity asked about.
//
// Spec: smp.md 6.8
func (k *Call) reply(i int) Reply {
	a := &k.answers[i]
	if a.err != nil {
		return Reply{Err: a.err}
	}
	r := Reply{in: a.in}
	response, err := smp.ParseResponse(k.client.conn.version, a.response)
	refusal, refused := response.(smp.ERR)
	switch {
	case err != nil:
		r.Err = &ResponseError{Err: err}
	case refused && (len(a.entity) == 0 || bytes.Equal(a.entity, k.entity[i])):
		r.Err = refusal.Err
	case !bytes.Equal(a.entity, k.entity[i]):
		r.Err = &ResponseError{}
	default:
		r.Response = response
		return r
	}
	r.Release()
	return r
}
