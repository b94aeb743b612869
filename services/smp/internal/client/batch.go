package client

import "context"

// Do sends a command and waits for its answer, which may share blocks with those of other callers. The error is that
// of the reply.
func (c *Client) Do(ctx context.Context, r Request) (Reply, error) { return c.do(ctx, &r) }

func (c *Client) do(ctx context.Context, r *Request) (Reply, error) {
	k, err := c.start(ctx, r)
	if err != nil {
		return Reply{Err: err}, err
	}
	return k.Wait(ctx)
}

// DoBlock sends commands as exactly one block and waits for all answers, in the order of the commands. An error means
// that nothing was sent: [ErrTooLarge] if the block has no room for all.
//
// Spec: smp.md 5.2
func (c *Client) DoBlock(ctx context.Context, requests []Request) ([]Reply, error) {
	k, err := c.StartBlock(ctx, requests)
	if err != nil {
		return nil, err
	}
	return k.WaitAll(ctx, make([]Reply, 0, len(requests))), nil
}

// StartBlock is DoBlock without waiting. The caller must call WaitAll of the result, once.
func (c *Client) StartBlock(ctx context.Context, requests []Request) (*Call, error) {
	return c.startAll(ctx, requests, true)
}

// DoAll sends commands in as few blocks as they fit, in order, and waits for all answers, in the order of the
// commands. Unlike those of DoBlock, the requests may be any number. An error means that not all were sent.
func (c *Client) DoAll(ctx context.Context, requests []Request) ([]Reply, error) {
	k, err := c.startAll(ctx, requests, false)
	if err != nil {
		return nil, err
	}
	return k.WaitAll(ctx, make([]Reply, 0, len(requests))), nil
}

// startAll sends requests in blocks of their own, or in exactly one.
func (c *Client) startAll(ctx context.Context, requests []Request, one bool) (*Call, error) {
	k := c.newCall(len(requests))
	k.left = 1 // until all are sent
	err := c.sendAll(ctx, k, requests, one)
	c.mu.Lock()
	if err != nil {
		k.drop(err)
	}
	k.count()
	c.mu.Unlock()
	if err != nil {
		<-k.ready
		k.discard()
		return nil, err
	}
	return k, nil
}

// sendAll queues the blocks of k's requests, each when it is full.
func (c *Client) sendAll(ctx context.Context, k *Call, requests []Request, one bool) error {
	s := takeScratch()
	defer s.release()
	b := takeOutbound()
	defer func() { b.release() }()
	sent := 0
	for i := range requests {
		r := &requests[i]
		id, err := r.corrID()
		if err != nil {
			return err
		}
		if err := c.conn.prepare(s, r, id[:]); err != nil {
			return err
		}
		if !c.conn.pack(b, s) {
			if one || b.packer.Count() == 0 {
				return ErrTooLarge
			}
			if err := c.send(ctx, k, sent, &b); err != nil {
				return err
			}
			if sent = i; !c.conn.pack(b, s) {
				return ErrTooLarge
			}
		}
		k.add(id, r.Entity)
	}
	if b.packer.Count() == 0 {
		return nil
	}
	return c.send(ctx, k, sent, &b)
}

// send queues the block *b of k's requests from the given one on, and puts an empty one in its place.
func (c *Client) send(ctx context.Context, k *Call, from int, b **outbound) error {
	if err := c.lockRoom(ctx); err != nil {
		return err
	}
	defer c.mu.Unlock()
	if err := c.register(k, from); err != nil {
		return err
	}
	(*b).whole = true
	c.push(*b)
	*b = takeOutbound()
	return nil
}
