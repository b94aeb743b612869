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

	"sotto/shared/identity"
)

// identityErrors are errors whose text names nobody.
var identityErrors = []error{
	identity.ErrChainLength, identity.ErrUnknownCA, identity.ErrCertificate, identity.ErrVersion, identity.ErrIssuer,
	identity.ErrSignature, identity.ErrDates, identity.ErrUsage, identity.ErrKey, identity.ErrClientChainLength,
}

// Safe returns the kind of a network or TLS error, fit for a log: never an address, a port, a host name or anything
// the peer has sent. It returns "" for nil.
func Safe(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrBlock):
		return "malformed block"
	case errors.Is(err, errNoSessionID):
		return "no session id"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
		return "closed"
	case errors.Is(err, io.EOF):
		return "closed by peer"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "cut off by peer"
	}
	for _, known := range identityErrors {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return safeType(err)
}

// safeType tells errors apart by their types.
func safeType(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return "host not found"
		case dns.IsTimeout:
			return "name resolution timeout"
		default:
			return "name resolution failure"
		}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "not tls"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		// The text of an alert is one of a fixed list in crypto/tls.
		switch {
		case op.Op == "remote error" && op.Err != nil:
			return "alert from peer: " + op.Err.Error()
		case op.Op == "local error" && op.Err != nil:
			return "alert to peer: " + op.Err.Error()
		}
		if op.Timeout() {
			return "timeout"
		}
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "timeout"
	}
	if text, ok := strings.CutPrefix(err.Error(), "tls13: "); ok {
		return text // a fixed sentence
	}
	if strings.HasPrefix(err.Error(), "tls: ") {
		return "tls failure" // the text may quote what the peer offered
	}
	return fmt.Sprintf("error of type %T", err)
}
