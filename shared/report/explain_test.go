package report

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"sotto/shared/identity"
)

func TestPlace(t *testing.T) {
	p := Place{Host: "relay.example\x1b", Port: "443", Waited: 15 * time.Second}
	quoting := errors.New("the reason names 192.0.2.1")
	for _, c := range []struct {
		explain func(error) string
		err     error
		want    string
	}{
		{p.Connect, identity.ErrUnknownCA, "The fingerprint in the address is incomplete"},
		{p.Connect, &net.DNSError{IsNotFound: true}, "There is no host named relay.example? in DNS"},
		{p.Connect, &net.DNSError{IsTimeout: true}, "DNS does not answer"},
		{p.Connect, &net.OpError{Err: syscall.ECONNREFUSED}, "relay.example? refuses connections on port 443"},
		{p.Connect, &net.OpError{Err: syscall.ENETUNREACH}, "There is no way to relay.example?"},
		{p.Connect, context.DeadlineExceeded, "does not answer on port 443 (waited 15.0 s)"},
		{p.Connect, quoting, "No connection to relay.example?, port 443"},
		{p.TLS, identity.ErrUnknownCA, "another identity"},
		{p.TLS, identity.ErrDates, "expired or not yet valid"},
		{p.TLS, identity.ErrChainLength, "certificates that are no relay's"},
		{p.TLS, &net.OpError{Op: "remote error", Err: quoting}, "no TLS parameters in common"},
		{p.TLS, tls.RecordHeaderError{}, "does not speak TLS"},
		{p.TLS, context.DeadlineExceeded, "did not end (waited 15.0 s)"},
		{p.TLS, io.EOF, "cut during the TLS handshake"},
		{p.TLS, syscall.ECONNRESET, "cut during the TLS handshake"},
		{p.TLS, quoting, "The TLS handshake failed"},
	} {
		if got := c.explain(c.err); !strings.Contains(got, c.want) || strings.Contains(got, "\x1b") {
			t.Errorf("%v: got %q, want %q", c.err, got, c.want)
		}
	}
	if got := p.Connect(quoting) + p.TLS(quoting); strings.Contains(got, "192.0.2.1") {
		t.Errorf("an error is quoted: %s", got)
	}
}

func TestFailure(t *testing.T) {
	var err error = &Failure{Reason: "It rains.", Err: io.EOF}
	if err.Error() != "It rains." || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}
