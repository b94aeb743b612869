package transport

import (
	"context"
	"errors"
	"net"
)

// Serve gives take what ln accepts, until ln is closed, ctx ends, or accepting fails for good, which is an error that names
// nobody. take must not wait; the first connection that it does not want, which is then closed, ends Serve too.
func Serve(ctx context.Context, ln net.Listener, take func(net.Conn) bool) error {
	for {
		raw, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return errors.New("accept: " + Safe(err))
		}
		if !take(raw) {
			_ = raw.Close()
			return nil
		}
	}
}
