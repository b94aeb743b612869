package site

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"sotto/shared/transport"
)

// Bounds of plain HTTP. Requests have no body to speak of, and answers are small.
const (
	headerTime = 10 * time.Second
	answerTime = 30 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// plain is a port for plain HTTP. Its log, which names addresses and quotes what clients send, goes nowhere.
type plain struct {
	ln     net.Listener
	server *http.Server
}

func newPlain(ln net.Listener, handler http.Handler) *plain {
	return &plain{ln: ln, server: &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		ConnContext: established,
	}}
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
func (p *plain) Shutdown(ctx context.Context) error {
	err := p.server.Shutdown(ctx)
	if err != nil {
		_ = p.server.Close()
	}
	return err
}

func (p *plain) close() { _ = p.ln.Close() }
