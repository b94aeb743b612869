package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"sotto/shared/identity"
	"sotto/shared/tls13"
)

// TestSafe wraps errors in what names the peer, as net does, and looks for it.
func TestSafe(t *testing.T) {
	address := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 77), Port: 54321}
	op := func(name string, err error) error {
		return fmt.Errorf("secret.example: %w", &net.OpError{Op: name, Net: "tcp", Source: address, Addr: address, Err: err})
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{op("read", os.NewSyscallError("read", syscall.ECONNRESET)), "connection reset by peer"},
		{op("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connection refused"},
		{op("write", os.ErrDeadlineExceeded), "timeout"},
		{op("read", net.ErrClosed), "closed"},
		{op("read", io.EOF), "closed by peer"},
		{op("read", io.ErrUnexpectedEOF), "cut off by peer"},
		{op("dial", context.DeadlineExceeded), "timeout"},
		{op("dial", context.Canceled), "canceled"},
		{op("dial", &net.DNSError{Err: "no such host", Name: "secret.example", Server: "203.0.113.77", IsNotFound: true}), "host not found"},
		{op("dial", &net.DNSError{Err: "i/o timeout", Name: "secret.example", IsTimeout: true}), "name resolution timeout"},
		{op("dial", &net.DNSError{Err: "server misbehaving", Name: "secret.example"}), "name resolution failure"},
		{op("remote error", tls.AlertError(120)), "alert from peer: tls: no application protocol"},
		{op("local error", tls.AlertError(22)), "alert to peer: tls: record overflow"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "not tls"},
		{errors.New(`tls: client requested unsupported application protocols ("secret.example")`), "tls failure"},
		{fmt.Errorf("secret.example: %w", ErrBlock), "malformed block"},
		{errNoSessionID, "no session id"},
		{fmt.Errorf("certificate 0: %w", identity.ErrDates), "identity: certificate is expired or not yet valid"},
		{fmt.Errorf("chain: %w", identity.ErrClientChainLength), identity.ErrClientChainLength.Error()},
		{tls13.ErrFinished, "wrong Finished message"},
		{&net.AddrError{Err: "missing port", Addr: "secret.example"}, "error of type *net.AddrError"},
		{op("dial", errors.New("something about 203.0.113.77")), "error of type *fmt.wrapError"},
	} {
		got := Safe(c.err)
		if got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		for _, secret := range []string{"203.0.113", "54321", "secret.example"} {
			if strings.Contains(got, secret) {
				t.Errorf("%q names %q", got, secret)
			}
		}
	}
}

// TestSafeOfHandshakes takes errors as they come from connections.
func TestSafeOfHandshakes(t *testing.T) {
	id := newIdentity(t)
	c, s := handshakes(t, connect(ClientConfig{}), serve(ServerConfig(id)))
	if Safe(c.err) != identity.ErrUnknownCA.Error() || Safe(s.err) != "alert from peer: tls: bad certificate" {
		t.Errorf("%v, %v", Safe(c.err), Safe(s.err))
	}
	l := listen(t)
	l.Close()
	if _, err := net.Dial("tcp", l.Addr().String()); Safe(err) != "connection refused" {
		t.Error(Safe(err))
	}
}
