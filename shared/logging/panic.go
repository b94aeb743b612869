package logging

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/rs/zerolog"
)

// Panic logs where a handler failed, without the panic's value, which may quote what clients sent. It is called by the
// deferred function that has recovered p, or by one that this calls.
func Panic(log zerolog.Logger, p any) {
	cause := "panic"
	if err, ok := p.(runtime.Error); ok {
		cause = err.Error()
	}
	log.Error().Str("cause", cause).Str("stack", callers()).Msg("connection handler failed; this is a bug, please report it")
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
