package smp

import (
	"bytes"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// SKEY secures a queue with the key that authorises the command.
//
// Spec: smp.md 9.3
type SKEY struct{ SenderKey key.Public }

// Tag returns "SKEY".
func (SKEY) Tag() string { return "SKEY" }

// Party returns Sender.
func (SKEY) Party() Party { return Sender }

// AppendCommand appends the command.
//
// Spec: smp.md 9.3
func (c SKEY) AppendCommand(dst []byte, _ wire.Version) []byte {
	return c.SenderKey.AppendWire(append(dst, "SKEY "...))
}

func readSKEY(r *wire.Reader) SKEY { return SKEY{SenderKey: key.ReadAuth(r)} }

// SEND puts a message into a queue. The parser does not judge the length of Body; see [MaxBody].
//
// Spec: smp.md 9.10
type SEND struct {
	Notify bool // the recipient wants to be notified of this message
	Body   Opaque
}

// Tag returns "SEND".
func (SEND) Tag() string { return "SEND" }

// Party returns Sender.
func (SEND) Party() Party { return Sender }

// AppendCommand appends the command, with one flag.
//
// Spec: smp.md 9.10
func (c SEND) AppendCommand(dst []byte, _ wire.Version) []byte {
	dst = wire.AppendBool(append(dst, "SEND "...), c.Notify)
	return append(append(dst, ' '), c.Body...)
}

func readSEND(r *wire.Reader) SEND {
	notify, body, ok := cutFlags(r.Tail())
	if !ok {
		r.Fail()
	}
	return SEND{Notify: notify, Body: body}
}

// cutFlags splits message flags and what follows the space after them. The first flag tells whether to notify;
// the others are reserved and may be anything.
//
// Spec: smp.md 9.10
func cutFlags(b []byte) (notify bool, rest []byte, ok bool) {
	flags, rest, ok := bytes.Cut(b, space)
	if !ok || len(flags) == 0 || flags[0] != 'T' && flags[0] != 'F' {
		return false, nil, false
	}
	return flags[0] == 'T', rest, true
}

// PING asks for a sign of life.
//
// Spec: smp.md 9.11
type PING struct{}

// Tag returns "PING".
func (PING) Tag() string { return "PING" }

// Party returns None.
func (PING) Party() Party { return None }

// AppendCommand appends the command.
func (PING) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "PING"...) }
