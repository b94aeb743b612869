package smp

import (
	"sotto/shared/key"
	"sotto/shared/wire"
)

// QueueMode says who may secure a queue and what its link is for. The zero value is a queue of a client below
// version 9, or one created without asking for a mode.
//
// Spec: smp.md 8.1
type QueueMode byte

// Queue modes, with their wire bytes.
const (
	ModeNone      QueueMode = 0
	ModeMessaging QueueMode = 'M'
	ModeContact   QueueMode = 'C'
)

// readMode reads a mode that is present.
func readMode(r *wire.Reader) QueueMode {
	m := QueueMode(r.Byte())
	if m != ModeMessaging && m != ModeContact {
		r.Fail()
	}
	return m
}

// modeOf gives the mode that versions 9 to 14 express as "sender may secure".
func modeOf(senderSecure bool) QueueMode {
	if senderSecure {
		return ModeMessaging
	}
	return ModeContact
}

// NEW creates a queue. AuthKey authorises the command itself and later recipient commands; DHKey is X25519.
//
// Spec: smp.md 9.2
type NEW struct {
	AuthKey, DHKey key.Public
	// HasBasicAuth tells an absent password from an empty one.
	HasBasicAuth bool
	BasicAuth    BasicAuth
	// Subscribe makes the connection the subscriber of the new queue.
	Subscribe bool
	// Queue is nil when no mode was asked for, and always nil when parsed below version 9. Below version 15 it
	// has no Link.
	Queue *QueueRequest
	// Notifier is nil when no credentials were given, and always nil when parsed below version 17.
	Notifier *NotifierCredentials
}

// QueueRequest asks for a mode and, if Link is not nil, for link data to be stored with the queue.
//
// Spec: smp.md 9.2
type QueueRequest struct {
	Mode QueueMode
	Link *LinkRequest
}

// LinkRequest is link data for a new queue, with the ids that the client chose.
//
// Spec: smp.md 9.2
type LinkRequest struct {
	LinkID    wire.EntityID // mode contact only; nil in mode messaging
	SenderID  wire.EntityID
	FixedData Opaque
	UserData  Opaque
}

// NotifierCredentials are the notifier's key and the recipient's X25519 key for notifications.
//
// Spec: smp.md 9.2
type NotifierCredentials struct {
	NotifierKey, DHKey key.Public
}

// Tag returns "NEW".
func (NEW) Tag() string { return "NEW" }

// Party returns Creator.
func (NEW) Party() Party { return Creator }

// AppendCommand appends the command. Below version 9 the mode is lost, below 15 link data, below 17 notifier
// credentials.
//
// Spec: smp.md 9.2
func (c NEW) AppendCommand(dst []byte, v wire.Version) []byte {
	dst = append(dst, "NEW "...)
	dst = c.AuthKey.AppendWire(dst)
	dst = c.DHKey.AppendWire(dst)
	switch {
	case v >= VersionSenderSecure:
		dst = appendMaybeBasicAuth(dst, c.HasBasicAuth, c.BasicAuth)
	case c.HasBasicAuth:
		dst = wire.AppendStr(append(dst, 'A'), c.BasicAuth)
	}
	if c.Subscribe {
		dst = append(dst, 'S')
	} else {
		dst = append(dst, 'C')
	}
	switch {
	case v >= VersionShortLinks:
		dst = c.Queue.appendMaybe(dst)
	case v >= VersionSenderSecure:
		dst = wire.AppendBool(dst, c.Queue != nil && c.Queue.Mode == ModeMessaging)
	}
	if v >= VersionNotifierCreds {
		dst = wire.AppendMaybe(dst, c.Notifier != nil)
		if c.Notifier != nil {
			dst = c.Notifier.DHKey.AppendWire(c.Notifier.NotifierKey.AppendWire(dst))
		}
	}
	return dst
}

func readNEW(r *wire.Reader, v wire.Version) NEW {
	c := NEW{AuthKey: key.ReadAuth(r), DHKey: key.ReadDH(r)}
	if v >= VersionSenderSecure {
		c.HasBasicAuth, c.BasicAuth = readMaybeBasicAuth(r)
	} else if b, ok := r.Peek(); ok && b == 'A' {
		r.Byte()
		c.HasBasicAuth, c.BasicAuth = true, readBasicAuth(r)
	}
	switch r.Byte() {
	case 'S':
		c.Subscribe = true
	case 'C':
	default:
		r.Fail()
	}
	switch {
	case v >= VersionShortLinks:
		if r.Maybe() {
			c.Queue = readQueueRequest(r)
		}
	case v >= VersionSenderSecure:
		c.Queue = &QueueRequest{Mode: modeOf(r.Bool())}
	}
	if v >= VersionNotifierCreds && r.Maybe() {
		c.Notifier = &NotifierCredentials{NotifierKey: key.ReadAuth(r), DHKey: key.ReadDH(r)}
	}
	return c
}

// appendMaybe appends an optional queue request; nil is absent.
func (q *QueueRequest) appendMaybe(dst []byte) []byte {
	if q == nil || q.Mode == ModeNone {
		return wire.AppendMaybe(dst, false)
	}
	dst = append(wire.AppendMaybe(dst, true), byte(q.Mode))
	dst = wire.AppendMaybe(dst, q.Link != nil)
	if q.Link == nil {
		return dst
	}
	if q.Mode == ModeContact {
		dst = wire.AppendStr(dst, q.Link.LinkID)
	}
	dst = wire.AppendStr(dst, q.Link.SenderID)
	return appendLinkData(dst, q.Link.FixedData, q.Link.UserData)
}

func readQueueRequest(r *wire.Reader) *QueueRequest {
	q := &QueueRequest{Mode: readMode(r)}
	if !r.Maybe() {
		return q
	}
	q.Link = &LinkRequest{}
	if q.Mode == ModeContact {
		q.Link.LinkID = r.Str()
	}
	q.Link.SenderID = r.Str()
	q.Link.FixedData, q.Link.UserData = readLinkData(r)
	return q
}

// SUB subscribes the connection to a queue.
//
// Spec: smp.md 9.4
type SUB struct{}

// Tag returns "SUB".
func (SUB) Tag() string { return "SUB" }

// Party returns Recipient.
func (SUB) Party() Party { return Recipient }

// AppendCommand appends the command.
func (SUB) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "SUB"...) }

// SUBS subscribes a service to all its queues. Relays refuse it with [CmdProhibited].
//
// Spec: smp.md 9.13
type SUBS struct{}

// Tag returns "SUBS".
func (SUBS) Tag() string { return "SUBS" }

// Party returns RecipientService.
func (SUBS) Party() Party { return RecipientService }

// AppendCommand appends the command.
func (SUBS) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "SUBS"...) }

// KEY secures a queue with the sender's key.
//
// Spec: smp.md 9.3
type KEY struct{ SenderKey key.Public }

// Tag returns "KEY".
func (KEY) Tag() string { return "KEY" }

// Party returns Recipient.
func (KEY) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: smp.md 9.3
func (c KEY) AppendCommand(dst []byte, _ wire.Version) []byte {
	return c.SenderKey.AppendWire(append(dst, "KEY "...))
}

func readKEY(r *wire.Reader) KEY { return KEY{SenderKey: key.ReadAuth(r)} }

// RKEY replaces the recipient keys of a queue in mode contact. Keys has 1 to 255 elements.
//
// Spec: smp.md 9.3
type RKEY struct{ Keys []key.Public }

// Tag returns "RKEY".
func (RKEY) Tag() string { return "RKEY" }

// Party returns Recipient.
func (RKEY) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: smp.md 9.3
func (c RKEY) AppendCommand(dst []byte, _ wire.Version) []byte {
	dst = wire.AppendCount(append(dst, "RKEY "...), len(c.Keys))
	for _, k := range c.Keys {
		dst = k.AppendWire(dst)
	}
	return dst
}

func readRKEY(r *wire.Reader) RKEY {
	n := r.NonEmptyCount()
	// The shortest key has 44 bytes and its length: a count that cannot be true allocates nothing.
	if n*45 > r.Len() {
		r.Fail()
		return RKEY{}
	}
	keys := make([]key.Public, 0, n)
	for range n {
		keys = append(keys, key.ReadAuth(r))
	}
	return RKEY{Keys: keys}
}

// NKEY gives a queue notifier credentials, in place of those it has.
//
// Spec: smp.md 9.8
type NKEY struct{ NotifierKey, DHKey key.Public }

// Tag returns "NKEY".
func (NKEY) Tag() string { return "NKEY" }

// Party returns Recipient.
func (NKEY) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: smp.md 9.8
func (c NKEY) AppendCommand(dst []byte, _ wire.Version) []byte {
	return c.DHKey.AppendWire(c.NotifierKey.AppendWire(append(dst, "NKEY "...)))
}

func readNKEY(r *wire.Reader) NKEY { return NKEY{NotifierKey: key.ReadAuth(r), DHKey: key.ReadDH(r)} }

// NDEL removes a queue's notifier credentials.
//
// Spec: smp.md 9.8
type NDEL struct{}

// Tag returns "NDEL".
func (NDEL) Tag() string { return "NDEL" }

// Party returns Recipient.
func (NDEL) Party() Party { return Recipient }

// AppendCommand appends the command.
func (NDEL) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "NDEL"...) }

// GET asks for the head of a queue without subscribing.
//
// Spec: smp.md 9.6
type GET struct{}

// Tag returns "GET".
func (GET) Tag() string { return "GET" }

// Party returns Recipient.
func (GET) Party() Party { return Recipient }

// AppendCommand appends the command.
func (GET) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "GET"...) }

// ACK acknowledges the delivered message. MessageID has 0 to 255 bytes; empty names whichever was delivered.
//
// Spec: smp.md 9.5
type ACK struct{ MessageID MessageID }

// Tag returns "ACK".
func (ACK) Tag() string { return "ACK" }

// Party returns Recipient.
func (ACK) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: smp.md 9.5
func (c ACK) AppendCommand(dst []byte, _ wire.Version) []byte {
	return wire.AppendStr(append(dst, "ACK "...), c.MessageID)
}

func readACK(r *wire.Reader) ACK { return ACK{MessageID: r.Str()} }

// OFF suspends a queue for good.
//
// Spec: smp.md 9.7
type OFF struct{}

// Tag returns "OFF".
func (OFF) Tag() string { return "OFF" }

// Party returns Recipient.
func (OFF) Party() Party { return Recipient }

// AppendCommand appends the command.
func (OFF) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "OFF"...) }

// DEL deletes a queue.
//
// Spec: smp.md 9.7
type DEL struct{}

// Tag returns "DEL".
func (DEL) Tag() string { return "DEL" }

// Party returns Recipient.
func (DEL) Party() Party { return Recipient }

// AppendCommand appends the command.
func (DEL) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "DEL"...) }

// QUE asks for the state of a queue, for debugging.
//
// Spec: smp.md 9.9
type QUE struct{}

// Tag returns "QUE".
func (QUE) Tag() string { return "QUE" }

// Party returns Recipient.
func (QUE) Party() Party { return Recipient }

// AppendCommand appends the command.
func (QUE) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "QUE"...) }
