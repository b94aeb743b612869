package transfer

import (
	"context"
	"sync"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
)

// pool keeps connections to relays for their next request. Each is used by one request at a time.
//
// Spec: xftp.md 16.6
type pool struct {
	options Options

	mu    sync.Mutex      // guards what follows
	idle  []pooled        // oldest first
	known map[string]bool // relays that a connection was made to
}

type pooled struct {
	relay  string
	client *client.Client
}

func newPool(options Options) *pool { return &pool{options: options, known: make(map[string]bool)} }

// try runs do with a connection to the relay until it succeeds, fails for good, or has failed too often. Errors are
// [*RelayError], a [*DiskError] of do, or that of ctx.
//
// Spec: xftp.md 9.3
func (p *pool) try(ctx context.Context, relay *address.Server, do func(*client.Client) error) error {
	return p.tryAtMost(ctx, knownAttempts, relay, do)
}

// tryAtMost is try with a bound of one's own.
func (p *pool) tryAtMost(ctx context.Context, most int, relay *address.Server, do func(*client.Client) error) error {
	attempts := func() int {
		if p.isKnown(relay) {
			return most
		}
		return min(most, firstAttempts)
	}
	return retry(ctx, attempts, p.options.Wait, func() error { return p.with(ctx, relay, do) })
}

// with runs do with a connection to the relay, a new one if none is kept that still works. Afterwards it is kept if it
// still works then.
func (p *pool) with(ctx context.Context, relay *address.Server, do func(*client.Client) error) error {
	name := relayName(relay)
	c, err := p.take(name), error(nil)
	if c == nil {
		c, err = client.Dial(ctx, *relay, p.options.Client)
	}
	if err == nil {
		p.meet(name)
		err = do(c)
		p.give(name, c)
	}
	switch {
	case err == nil || isLocal(err):
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &RelayError{Server: public(relay), Err: err}
}

// take returns the connection used last, nil if there is none.
func (p *pool) take(relay string) *client.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if p.idle[i].relay != relay {
			continue
		}
		c := p.idle[i].client
		p.idle = append(p.idle[:i], p.idle[i+1:]...)
		if c.Err() == nil {
			return c
		}
		_ = c.Close()
	}
	return nil
}

// give keeps a connection that works.
func (p *pool) give(relay string, c *client.Client) {
	if c.Err() != nil {
		_ = c.Close()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, pooled{relay, c})
	if len(p.idle) > p.options.Connections {
		_ = p.idle[0].client.Close()
		p.idle = p.idle[1:]
	}
}

// meet remembers a relay that a connection was made to.
func (p *pool) meet(relay string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[relay] = true
}

func (p *pool) isKnown(relay *address.Server) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[relayName(relay)]
}

// close closes what is kept.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		_ = c.client.Close()
	}
	p.idle = nil
}

// relayName is equal for addresses that name the same relay in the same way. Spec: xftp.md 2.3
func relayName(s *address.Server) string {
	named := *s
	if named.Port == "" {
		named.Port = address.XFTP.DefaultPort()
	}
	return string(named.AppendServer(nil))
}
