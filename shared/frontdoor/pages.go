package frontdoor

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"sotto/shared/transport"
)

// Bounds for browsers.
const (
	// maxBrowsers is how many may be connected: they must not take the places of the relay's clients.
	maxBrowsers = 2000
	// A page is asked for in one packet, and is 100 KB at most.
	headerTime = 10 * time.Second
	answerTime = 30 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// pages is the web server.
type pages struct {
	tls    *tls.Config
	feed   *transport.Feed
	server *http.Server
	open   atomic.Int64
}

// newPages makes the web server. Its log, which names addresses and quotes what clients send, goes nowhere.
func newPages(addr net.Addr, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), handler http.Handler) *pages {
	p := &pages{
		feed: transport.NewFeed(addr),
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: certificate,
			NextProtos: []string{transport.ALPNHTTP2, transport.ALPNHTTP1},
		},
	}
	p.server = &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0), ConnState: p.count,
		ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader,
	}
	return p
}

// serve answers until shutdown.
func (p *pages) serve() { _ = p.server.Serve(p.feed) }

// give gives a browser's connection to the web server, if there is room.
func (p *pages) give(conn *tls.Conn) {
	if p.open.Load() >= maxBrowsers || !p.feed.Give(conn) {
		_ = conn.Close()
	}
}

func (p *pages) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.open.Add(1)
	case http.StateClosed, http.StateHijacked:
		p.open.Add(-1)
	}
}

// shutdown ends the web server. Pages that are being sent may be finished until ctx ends.
func (p *pages) shutdown(ctx context.Context) {
	if p.server.Shutdown(ctx) != nil {
		_ = p.server.Close()
	}
}
