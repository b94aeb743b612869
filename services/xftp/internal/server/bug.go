package server

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
)

// recoverBug keeps a broken invariant in one request from ending the others: its connection is closed, and the first
// such failure of a connection is reported.
func (c *conn) recoverBug() {
	p := recover()
	if p == nil {
		return
	}
	c.abort()
	if p != http.ErrAbortHandler {
		c.bug.Do(func() { c.srv.reportPanic(p) })
	}
}

// reportPanic logs where a handler failed, without the panic's value, which may quote what clients sent.
func (s *Server) reportPanic(p any) {
	cause := "panic"
	if err, ok := p.(runtime.Error); ok {
		cause = err.Error()
	}
	s.log.Error().Str("cause", cause).Str("stack", callers()).Msg("connection handler failed; this is a bug, please report it")
}

// callers lists the functions and lines of a panicking goroutine, without their arguments.
func callers() string {
	pcs := make([]uintptr, 24)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var b strings.Builder
	for {
		frame, more := frames.Next()
		fmt.Fprintf(&b, "%s:%d ", frame.Function, frame.Line)
		if !more {
			return b.String()
		}
	}
}
