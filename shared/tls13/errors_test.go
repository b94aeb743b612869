package tls13

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
)

// TestReason gives texts for the errors of this package alone.
func TestReason(t *testing.T) {
	address := &net.OpError{Op: "read", Net: "tcp", Addr: &net.TCPAddr{Port: 5223}, Err: errors.New("reset")}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{io.EOF, ""},
		{address, ""},
		{&refusal{address}, ""},
		{fmt.Errorf("192.0.2.1: %w", ErrFinished), "tls13: wrong Finished message"},
		{fmt.Errorf("192.0.2.1: %w", Alert(40)), "tls13: peer ended the connection with alert 40"},
		{fmt.Errorf("192.0.2.1: %w", ErrWriteClosed), "tls13: connection is closed for writing"},
	} {
		if got := Reason(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
