package frontdoor

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"

	"sotto/shared/transport"
	"sotto/shared/web"
)

// maxBrowsers is how many may be connected: they must not take the places of the relay's clients.
const maxBrowsers = 2000

// pages is the web server.
type pages struct {
	tls    *tls.Config
	feed   *transport.Feed
	server *http.Server
	open   atomic.Int64
}

// newPages makes the web server.
func newPages(addr net.Addr, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), handler http.Handler) *pages {
	p := &pages{
		feed: transport.NewFeed(addr),
		tls: &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: certificate,
			NextProtos: []string{transport.ALPNHTTP2, transport.ALPNHTTP1},
		},
	}
	p.server = web.NewServer(handler)
	p.server.ConnState = p.count
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
