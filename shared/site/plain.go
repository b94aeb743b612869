package site

import (
	"context"
	"errors"
	"net"
	"net/http"

	"sotto/shared/transport"
	"sotto/shared/web"
)

// plain is a port for plain HTTP.
type plain struct {
	ln     net.Listener
	server *http.Server
}

func newPlain(ln net.Listener, handler http.Handler) *plain {
	server := web.NewServer(handler)
	server.ConnContext = established
	return &plain{ln: ln, server: server}
}

// established tells the listener that this connection has no handshake.
func established(ctx context.Context, conn net.Conn) context.Context {
	if e, ok := conn.(transport.Established); ok {
		e.Established()
	}
	return ctx
}

// Serve answers until Shutdown.
func (p *plain) Serve() error {
	err := p.server.Serve(p.ln)
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return errors.New("plain HTTP: " + transport.Safe(err))
}

// Shutdown lets answers be finished until ctx ends.
func (p *plain) Shutdown(ctx context.Context) error { return web.Shutdown(ctx, p.server) }

func (p *plain) close() { _ = p.ln.Close() }
