package pg

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// SQLSTATEs that callers ask for by name.
const (
	UniqueViolation = "23505"
	adminShutdown   = "57P01"
)

// Safe says what went wrong in words that may be logged: the SQLSTATE with the constraint, or the kind of failure.
// It never quotes row values, addresses, names of databases or users, or the URL.
func Safe(err error) string {
	var (
		server *pgconn.PgError
		ours   *Error
		safe   interface{ Safe() string }
		dns    *net.DNSError
		errno  syscall.Errno
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &server):
		if server.ConstraintName != "" {
			return "SQLSTATE " + server.Code + ", constraint " + server.ConstraintName
		}
		return "SQLSTATE " + server.Code
	case errors.As(err, &safe):
		return safe.Safe()
	case errors.Is(err, ErrURL):
		return ErrURL.Error()
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return "timeout"
	case errors.As(err, &dns):
		return "host lookup failed"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection lost"
	case errors.Is(err, pgconn.ErrConnClosed), errors.Is(err, net.ErrClosed):
		return "connection closed"
	case errors.Is(err, puddle.ErrClosedPool):
		return "pool is closed"
	case errors.Is(err, pgx.ErrNoRows):
		return "no rows"
	case errors.As(err, &ours):
		return ours.op + ": " + kind(ours.cause)
	default:
		return kind(err)
	}
}

// kind names the failure by its type where nothing else about it is known to be safe.
func kind(err error) string {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		timeout   net.Error
		connect   *pgconn.ConnectError
	)
	switch {
	case errors.As(err, &authority):
		return "the database's certificate is signed by an unknown authority"
	case errors.As(err, &hostname):
		return "the database's certificate is for another host"
	case errors.As(err, &invalid):
		return "the database's certificate is not valid"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &connect):
		return "cannot connect"
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}

// IsUnavailable reports whether err says that the database cannot be reached or is not accepting work now: a lost
// or refused connection, a timeout, a server that starts, stops, has no connection to spare or only reads. What
// the failed operation did is unknown, except where [NotSent] says that it did nothing.
func IsUnavailable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	var server *pgconn.PgError
	if errors.As(err, &server) {
		switch server.Code {
		case adminShutdown, "57P02", "57P03", "57P05", "25P03", "25006", "53300":
			return true
		}
		return strings.HasPrefix(server.Code, "08")
	}
	var (
		network net.Error
		connect *pgconn.ConnectError
		errno   syscall.Errno
	)
	return errors.As(err, &network) || errors.As(err, &connect) || errors.As(err, &errno) || pgconn.Timeout(err) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, net.ErrClosed)
}

// IsTransient reports whether the same operation may succeed when tried again: the database [IsUnavailable], or a
// conflict with another transaction, a lock that was not granted in time, or want of memory or disk space.
func IsTransient(err error) bool {
	if IsUnavailable(err) {
		return true
	}
	switch code := Code(err); code {
	case "40001", "40P01", "55P03":
		return true
	default:
		return strings.HasPrefix(code, "53")
	}
}

// NotSent reports whether err happened before anything of the operation reached the server, so that it certainly
// had no effect.
func NotSent(err error) bool {
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || pgconn.SafeToRetry(err)
}
