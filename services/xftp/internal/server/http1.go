package server

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"sotto/shared/transport"
	"sotto/shared/web"
	"sotto/shared/xftp"
)

// http1Time is what a browser may take to begin its first request.
const http1Time = 10 * time.Second

// http1 gives pages to browsers and programs that do not speak HTTP/2. Files need HTTP/2.
type http1 struct {
	feed   *transport.Feed
	server *http.Server
}

// newHTTP1 makes the server.
func newHTTP1(handler http.Handler) *http1 {
	if handler == nil {
		handler = http.NotFoundHandler()
	}
	return &http1{feed: transport.NewFeed(nil), server: web.NewServer(handler)}
}

func (h *http1) serve() { _ = h.server.Serve(h.feed) }

// preface is what HTTP/2 begins with; no request of HTTP/1.1 does.
//
// Source: RFC 9113 3.4
const preface = "PRI"

// servedHTTP1 serves a connection if a browser speaks HTTP/1.1 on it, which clients for files never do, and reports
// whether there is nothing left to serve.
//
// Spec: xftp.md 3.3
func (s *Server) servedHTTP1(session *transport.Session, web bool) bool {
	if !web || session.ALPN == xftp.ALPNHTTP2 || session.ALPN == xftp.ALPN {
		return false
	}
	var first [len(preface)]byte
	// Set on TLS, which keeps what it has read of a record.
	if session.Conn.SetReadDeadline(time.Now().Add(http1Time)) != nil {
		return true
	}
	if _, err := io.ReadFull(session.Conn, first[:]); err != nil {
		return true
	}
	conn := transport.NewReplay(session.Conn, first[:])
	if string(first[:]) == preface {
		session.Conn = conn
		return conn.SetReadDeadline(time.Time{}) != nil
	}
	served := &served{Conn: conn, over: make(chan struct{})}
	if s.http1.feed.Give(served) {
		<-served.over
	}
	return true
}

// served is a connection that tells when it is closed.
type served struct {
	net.Conn
	over chan struct{}
	once sync.Once
}

// Close closes the connection.
func (s *served) Close() error {
	s.once.Do(func() { close(s.over) })
	return s.Conn.Close()
}
