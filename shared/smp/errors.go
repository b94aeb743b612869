package smp

import (
	"bytes"
	"encoding/json"
	"strconv"

	"sotto/shared/wire"
)

// Error is an error of the protocol: a value that a relay answers with. Its text is that of the wire, without the
// lengths of strings inside it. All errors can be compared with ==, except that two [BlockedError] with notices are
// equal only if they share the notice.
//
// Spec: smp.md 7.1
type Error interface {
	error
	// AppendError appends the error as version v spells it, without "ERR ".
	AppendError(dst []byte, v wire.Version) []byte
}

// ErrorCode is an error that is one word.
//
// Spec: smp.md 7.1
type ErrorCode string

// Errors of one word, with their wire form.
const (
	ErrBlock    ErrorCode = "BLOCK"     // malformed block or transmission
	ErrSession  ErrorCode = "SESSION"   // wrong session id in version 6
	ErrAuth     ErrorCode = "AUTH"      // wrong authorization, no such queue, and most refusals
	ErrService  ErrorCode = "SERVICE"   // wrong or misplaced service signature
	ErrCrypto   ErrorCode = "CRYPTO"    // a layer of proxying does not decrypt
	ErrQuota    ErrorCode = "QUOTA"     // the queue is full
	ErrNoMsg    ErrorCode = "NO_MSG"    // ACK of something that was not delivered
	ErrLargeMsg ErrorCode = "LARGE_MSG" // message body too long
	ErrExpired  ErrorCode = "EXPIRED"   // defined, and not sent by relays
	ErrInternal ErrorCode = "INTERNAL"  // failure inside the relay
	// ErrDuplicate is parsed because the protocol defines it, and must never be sent.
	ErrDuplicate ErrorCode = "DUPLICATE_"
)

// Error returns the wire form.
func (e ErrorCode) Error() string { return string(e) }

// AppendError appends the wire form.
func (e ErrorCode) AppendError(dst []byte, _ wire.Version) []byte { return append(dst, e...) }

// CommandError is the error of a command that cannot be executed as it was sent.
//
// Spec: smp.md 7.2
type CommandError string

// Errors of commands, with their wire form.
const (
	CmdUnknown    CommandError = "CMD UNKNOWN"
	CmdSyntax     CommandError = "CMD SYNTAX"
	CmdProhibited CommandError = "CMD PROHIBITED"
	CmdNoAuth     CommandError = "CMD NO_AUTH"
	CmdHasAuth    CommandError = "CMD HAS_AUTH"
	CmdNoEntity   CommandError = "CMD NO_ENTITY"
)

// Error returns the wire form.
func (e CommandError) Error() string { return string(e) }

// AppendError appends the wire form.
func (e CommandError) AppendError(dst []byte, _ wire.Version) []byte { return append(dst, e...) }

// StoreError is a failure of storage. It is sent as it is, so it must not tell anything of a queue. Bytes that are
// not UTF-8 are kept by the parser.
//
// Spec: smp.md 7.1
type StoreError string

// Error returns the wire form.
func (e StoreError) Error() string { return "STORE " + string(e) }

// AppendError appends the wire form.
func (e StoreError) AppendError(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "STORE "...), e...)
}

// BlockingReason says why an operator blocked a queue.
//
// Spec: smp.md 7.5
type BlockingReason string

// Blocking reasons, with their wire form.
const (
	ReasonSpam    BlockingReason = "spam"
	ReasonContent BlockingReason = "content"
)

// Notice asks an app to create no new addresses on this relay.
//
// Spec: smp.md 7.5
type Notice struct {
	HasTTL bool  // false: without limit
	TTL    int64 // seconds
}

// BlockedError is the error of commands for a queue that an operator blocked.
//
// Spec: smp.md 7.5
type BlockedError struct {
	Reason BlockingReason
	Notice *Notice // nil: none
}

// Error returns the wire form of the newest version.
func (e BlockedError) Error() string { return string(e.AppendError(nil, MaxVersion)) }

// AppendError appends the wire form: AUTH below version 12, without the notice below version 18.
//
// Spec: smp.md 7.5
func (e BlockedError) AppendError(dst []byte, v wire.Version) []byte {
	if v < VersionBlocked {
		return ErrAuth.AppendError(dst, v)
	}
	dst = append(append(dst, "BLOCKED reason="...), e.Reason...)
	if v < VersionNotice || e.Notice == nil {
		return dst
	}
	dst = append(dst, ",notice={"...)
	if e.Notice.HasTTL {
		dst = strconv.AppendInt(append(dst, `"ttl":`...), e.Notice.TTL, 10)
	}
	return append(dst, '}')
}

// ParseError parses a complete error, without "ERR ". The error it returns is [wire.ErrSyntax].
//
// Spec: smp.md 7.1
func ParseError(b []byte) (Error, error) {
	code := ErrorCode(b)
	switch code {
	case ErrBlock, ErrSession, ErrAuth, ErrService, ErrCrypto, ErrQuota, ErrNoMsg, ErrLargeMsg, ErrExpired,
		ErrInternal, ErrDuplicate:
		return code, nil
	}
	tag, detail, ok := bytes.Cut(b, space)
	if !ok {
		return nil, wire.ErrSyntax
	}
	switch string(tag) {
	case "CMD":
		return parseCommandError(b)
	case "PROXY":
		return parseProxyError(detail)
	case "STORE":
		return StoreError(detail), nil
	case "BLOCKED":
		return parseBlockedError(detail)
	}
	return nil, wire.ErrSyntax
}

// parseCommandError parses an error with its "CMD ".
//
// Spec: smp.md 7.2
func parseCommandError(b []byte) (Error, error) {
	switch e := CommandError(b); e {
	case CmdUnknown, CmdSyntax, CmdProhibited, CmdNoAuth, CmdHasAuth, CmdNoEntity:
		return e, nil
	case "CMD NO_QUEUE":
		return CmdNoEntity, nil
	}
	return nil, wire.ErrSyntax
}

// parseBlockedError parses what follows "BLOCKED ".
//
// Spec: smp.md 7.5
func parseBlockedError(b []byte) (Error, error) {
	reason, notice, hasNotice := bytes.Cut(b, []byte(",notice="))
	e := BlockedError{}
	switch string(reason) {
	case "reason=spam":
		e.Reason = ReasonSpam
	case "reason=content":
		e.Reason = ReasonContent
	default:
		return nil, wire.ErrSyntax
	}
	if !hasNotice {
		return e, nil
	}
	n, err := parseNotice(notice)
	if err != nil {
		return nil, err
	}
	e.Notice = &n
	return e, nil
}

// parseNotice parses a JSON object that fills b. Members it does not know are ignored.
func parseNotice(b []byte) (Notice, error) {
	var members *struct {
		TTL *int64 `json:"ttl"`
	}
	if err := json.Unmarshal(b, &members); err != nil || members == nil {
		return Notice{}, wire.ErrSyntax
	}
	if members.TTL == nil {
		return Notice{}, nil
	}
	return Notice{HasTTL: true, TTL: *members.TTL}, nil
}
