package web

import (
	"context"
	"io"
	"log"
	"net/http"
	"time"
)

// Bounds of a server of pages. A page is asked for in one packet, without a body, and has 100 KB at most.
const (
	headerTime = 10 * time.Second
	answerTime = 30 * time.Second
	idleTime   = time.Minute
	maxHeader  = 16 << 10
)

// NewServer returns a server of pages, with bounds. Its log, which would name addresses and quote what clients send, goes
// nowhere.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: maxHeader,
		ReadHeaderTimeout: headerTime, ReadTimeout: answerTime, WriteTimeout: answerTime, IdleTimeout: idleTime,
	}
}

// Shutdown lets a server finish its answers until ctx ends, and then cuts off the rest, which is an error.
func Shutdown(ctx context.Context, server *http.Server) error {
	err := server.Shutdown(ctx)
	if err != nil {
		_ = server.Close()
	}
	return err
}
