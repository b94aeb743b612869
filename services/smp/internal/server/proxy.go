package server

import (
	"context"
	"sync"

	"sotto/shared/logging"
	"sotto/shared/smp"
)

// maxProxied is how many commands for other relays may wait on one connection for those that are under way. Each holds 16
// KB; beyond it the connection is no longer read from.
const maxProxied = 16

// proxied are the commands of a connection that wait for other relays: they are answered when these have answered, and
// nothing else on the connection waits for them.
//
// Spec: smp.md 11.7
type proxied struct {
	mu      sync.Mutex
	change  sync.Cond // room, or nothing left
	running int
	waiting []func(context.Context)
	stop    context.CancelFunc // nil until there was one
	ctx     context.Context    // ends with the connection
}

// connectRelay is PRXY.
//
// Spec: smp.md 11.1
func (c *conn) connectRelay(ctx context.Context, r *request, cmd smp.PRXY) error {
	if !c.srv.mayProxy(cmd) {
		return smp.ProxyBasicAuth
	}
	server := cloneServer(cmd.Server)
	c.later(ctx, r, func(ctx context.Context) (smp.Response, smp.Error) {
		session, err := c.srv.cfg.Proxy.Connect(ctx, server)
		if err != nil {
			return nil, err
		}
		return session.Key(), nil
	})
	return nil
}

// mayProxy checks the operator's rules for private routing, whose password is that for new queues.
func (s *Server) mayProxy(cmd smp.PRXY) bool {
	return s.cfg.Proxy != nil && s.knowsPassword(cmd.HasBasicAuth, cmd.BasicAuth)
}

// cloneServer copies an address out of the block, which is reused.
func cloneServer(s smp.Server) smp.Server {
	hosts := make([]smp.Host, len(s.Hosts))
	copy(hosts, s.Hosts)
	return smp.Server{Fingerprint: clone(s.Fingerprint), Hosts: hosts, Port: s.Port}
}

// sendToRelay is PFWD.
//
// Spec: smp.md 11.4
func (c *conn) sendToRelay(ctx context.Context, r *request, cmd smp.PFWD) error {
	if c.srv.cfg.Proxy == nil {
		return smp.ProxyNoSession
	}
	session := c.srv.cfg.Proxy.Session(r.tr.EntityID)
	if session == nil {
		return smp.ProxyNoSession
	}
	corrID := clone(r.tr.CorrID)
	cmd.Encrypted = clone(cmd.Encrypted)
	c.later(ctx, r, func(ctx context.Context) (smp.Response, smp.Error) {
		answer, err := session.Forward(ctx, corrID, cmd)
		if err != nil {
			return nil, err
		}
		return answer, nil
	})
	return nil
}

// later runs a command beside the connection, as soon as fewer than its share are under way.
func (c *conn) later(ctx context.Context, r *request, do func(context.Context) (smp.Response, smp.Error)) {
	r.later = true
	cmd, corrID, entityID := r.cmd, clone(r.tr.CorrID), clone(r.tr.EntityID)
	run := func(ctx context.Context) {
		response, err := do(ctx)
		if err != nil {
			response = smp.ERR{Err: err}
		}
		if ctx.Err() != nil {
			return // nobody is there for the answer
		}
		c.srv.count.Command(tagOnly(cmd), err)
		c.out.put(group{{corrID: corrID, entityID: entityID, resp: response}})
	}
	p := &c.proxied
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.leaving.Load() {
		return
	}
	if p.stop == nil {
		p.ctx, p.stop = context.WithCancel(ctx)
		context.AfterFunc(p.ctx, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.change.Broadcast()
		})
	}
	for len(p.waiting) >= maxProxied && p.ctx.Err() == nil {
		p.change.Wait()
	}
	switch {
	case p.ctx.Err() != nil:
	case p.running >= c.srv.cfg.ProxyConcurrency:
		p.waiting = append(p.waiting, run)
	default:
		p.running++
		go c.runProxied(run)
	}
}

// tagOnly is a command without what it holds of the block, to be counted.
func tagOnly(cmd smp.Command) smp.Command {
	if _, ok := cmd.(smp.PRXY); ok {
		return smp.PRXY{}
	}
	return smp.PFWD{}
}

// runProxied runs one command after the other until none waits.
func (c *conn) runProxied(run func(context.Context)) {
	p := &c.proxied
	defer func() {
		if bug := recover(); bug != nil {
			logging.Panic(c.srv.log, bug)
			c.abort()
			c.endProxied()
		}
	}()
	for run != nil {
		run(p.ctx)
		run = p.next()
	}
}

// next returns a command that waits, nil if there is none, and then the caller ends.
func (p *proxied) next() func(context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change.Broadcast()
	if len(p.waiting) == 0 || p.ctx.Err() != nil {
		p.running--
		p.waiting = nil
		return nil
	}
	run := p.waiting[0]
	p.waiting[0] = nil
	p.waiting = p.waiting[1:]
	return run
}

func (c *conn) endProxied() {
	p := &c.proxied
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	p.change.Broadcast()
}

// stopProxied gives up what is under way, and what waits.
func (c *conn) stopProxied() {
	p := &c.proxied
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		p.stop()
	}
}

// leaveProxied gives up what is under way, since nobody is there for the answers, and waits until it has ended.
func (c *conn) leaveProxied() {
	p := &c.proxied
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil {
		return
	}
	p.stop()
	p.change.Broadcast()
	for p.running > 0 {
		p.change.Wait()
	}
}
