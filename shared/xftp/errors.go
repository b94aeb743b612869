package xftp

import (
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Error is an error of the protocol: a value that a relay answers with. Its text is that of the wire.
//
// Spec: xftp.md 9.1
type Error interface {
	error
	// AppendError appends the error as version v spells it, without "ERR ".
	AppendError(dst []byte, v wire.Version) []byte
}

// ErrorCode is an error that is one word.
//
// Spec: xftp.md 9.1
type ErrorCode string

// Errors of one word, with their wire form.
const (
	ErrBlock     ErrorCode = "BLOCK"     // malformed block, or authorization of no known length
	ErrSession   ErrorCode = "SESSION"   // another connection's session id
	ErrHandshake ErrorCode = "HANDSHAKE" // only in place of a handshake's block
	ErrAuth      ErrorCode = "AUTH"      // wrong authorization, no such chunk, and most refusals
	ErrSize      ErrorCode = "SIZE"      // a size that is not allowed, or another than was registered
	ErrQuota     ErrorCode = "QUOTA"     // the relay's storage is full
	ErrDigest    ErrorCode = "DIGEST"    // the chunk has another digest than was registered
	ErrCrypto    ErrorCode = "CRYPTO"    // used by clients only
	ErrNoFile    ErrorCode = "NO_FILE"   // registered, but not uploaded
	ErrHasFile   ErrorCode = "HAS_FILE"  // defined, and not sent
	ErrFileIO    ErrorCode = "FILE_IO"   // storage failure
	ErrTimeout   ErrorCode = "TIMEOUT"   // the upload took too long
	ErrInternal  ErrorCode = "INTERNAL"  // failure inside the relay
)

// Error returns the wire form.
func (e ErrorCode) Error() string { return string(e) }

// AppendError appends the wire form.
func (e ErrorCode) AppendError(dst []byte, _ wire.Version) []byte { return append(dst, e...) }

// CommandError is the error of a command that cannot be executed as it was sent. Both protocols have the same ones.
//
// Spec: xftp.md 9.1
type CommandError = smp.CommandError

// Errors of commands.
const (
	CmdUnknown    = smp.CmdUnknown
	CmdSyntax     = smp.CmdSyntax
	CmdProhibited = smp.CmdProhibited
	CmdNoAuth     = smp.CmdNoAuth
	CmdHasAuth    = smp.CmdHasAuth
	CmdNoEntity   = smp.CmdNoEntity
)

// BlockedError is the error of commands for a chunk that an operator blocked.
//
// Spec: xftp.md 9.1
type BlockedError struct {
	Reason smp.BlockingReason
	Notice *smp.Notice // nil: none
}

// Error returns the wire form of the newest version.
func (e BlockedError) Error() string { return string(e.AppendError(nil, Versions.Max)) }

// AppendError appends the wire form: AUTH below version 3.
//
// Spec: xftp.md 9.1
func (e BlockedError) AppendError(dst []byte, v wire.Version) []byte {
	if v < VersionBlocked {
		return ErrAuth.AppendError(dst, v)
	}
	return smp.BlockedError(e).AppendError(dst, smp.MaxVersion)
}

// ParseError parses a complete error, without "ERR ". The error it returns is [wire.ErrSyntax].
//
// Spec: xftp.md 9.1
func ParseError(b []byte) (Error, error) {
	code := ErrorCode(b)
	switch code {
	case ErrBlock, ErrSession, ErrHandshake, ErrAuth, ErrSize, ErrQuota, ErrDigest, ErrCrypto, ErrNoFile, ErrHasFile,
		ErrFileIO, ErrTimeout, ErrInternal:
		return code, nil
	}
	shared, err := smp.ParseError(b)
	if err != nil {
		return nil, err
	}
	switch e := shared.(type) {
	case smp.CommandError:
		return e, nil
	case smp.BlockedError:
		return BlockedError(e), nil
	}
	return nil, wire.ErrSyntax
}
