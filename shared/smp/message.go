package smp

import (
	"bytes"

	"sotto/shared/wire"
)

// Sizes in bytes of a message between relay and recipient; they are the same in all versions.
//
// Spec: smp.md 10.1
const (
	// PaddedBodySize is what the plain body of MSG is padded to before encryption.
	PaddedBodySize = 16106
	// EncryptedBodySize is the length of MSG's encrypted body.
	EncryptedBodySize = PaddedBodySize + wire.TagSize
)

// Sizes in bytes of a notification's content.
//
// Spec: smp.md 10.4
const (
	// PaddedMetaSize is what a NotificationMeta is padded to before encryption.
	PaddedMetaSize = 128
	// EncryptedMetaSize is the length of NMSG's encrypted content.
	EncryptedMetaSize = PaddedMetaSize + wire.TagSize
)

// MaxBody returns the longest body in bytes that SEND may have in version v.
//
// Spec: smp.md 9.10
func MaxBody(v wire.Version) int {
	switch {
	case v >= VersionBlockEncryption:
		return 16048
	case v >= VersionProxy:
		return 16064
	}
	return 16088
}

// Received is the plain body of MSG: a message, or the marker that the queue was full.
//
// Spec: smp.md 10.1
type Received struct {
	Quota  bool  // the marker: Notify and Body are empty
	Time   int64 // Unix seconds, when the relay accepted the message
	Notify bool
	Body   Opaque // as it was sent
}

var quotaPrefix = []byte("QUOTA ")

// AppendReceived appends the plain body of MSG for a message, to be padded to [PaddedBodySize].
//
// Spec: smp.md 10.1
func AppendReceived(dst []byte, unixSeconds int64, notify bool, body []byte) []byte {
	dst = wire.AppendBool(wire.AppendInt64(dst, unixSeconds), notify)
	return append(append(dst, ' '), body...)
}

// AppendQuota appends the plain body of MSG for the quota marker, to be padded to [PaddedBodySize].
//
// Spec: smp.md 10.1
func AppendQuota(dst []byte, unixSeconds int64) []byte {
	return wire.AppendInt64(append(dst, quotaPrefix...), unixSeconds)
}

// ParseReceived parses the plain body of MSG, without padding. Further flags, for which future versions have room,
// are ignored. Body is a view of b. The error is [wire.ErrSyntax].
//
// Spec: smp.md 10.1
func ParseReceived(b []byte) (Received, error) {
	if seconds, ok := bytes.CutPrefix(b, quotaPrefix); ok {
		r := wire.NewReader(seconds)
		m := Received{Quota: true, Time: r.Int64()}
		if err := r.Done(); err != nil {
			return Received{}, err
		}
		return m, nil
	}
	r := wire.NewReader(b)
	m := Received{Time: r.Int64()}
	notify, body, ok := cutFlags(r.Tail())
	if !ok {
		return Received{}, wire.ErrSyntax
	}
	m.Notify, m.Body = notify, body
	return m, nil
}

// NotificationMeta is what NMSG tells about a message.
//
// Spec: smp.md 10.4
type NotificationMeta struct {
	MessageID MessageID
	Time      int64 // Unix seconds, when the relay accepted the message
}

// AppendTo appends the plain content of NMSG, to be padded to [PaddedMetaSize].
//
// Spec: smp.md 10.4
func (m NotificationMeta) AppendTo(dst []byte) []byte {
	return wire.AppendInt64(wire.AppendStr(dst, m.MessageID), m.Time)
}

// ParseNotificationMeta parses the plain content of NMSG, without padding. Bytes after it are ignored. The error is
// [wire.ErrSyntax].
//
// Spec: smp.md 10.4
func ParseNotificationMeta(b []byte) (NotificationMeta, error) {
	r := wire.NewReader(b)
	m := NotificationMeta{MessageID: r.Str(), Time: r.Int64()}
	if err := r.Err(); err != nil {
		return NotificationMeta{}, err
	}
	return m, nil
}
