package smp

import (
	"sotto/shared/key"
	"sotto/shared/wire"
)

// LSET sets the link data of a queue, or replaces its user data. It is a recipient command.
//
// Spec: smp.md 9.12
type LSET struct {
	LinkID    wire.EntityID
	FixedData Opaque // 0 to 65535 bytes, as far as a block has room
	UserData  Opaque // likewise
}

// Tag returns "LSET".
func (LSET) Tag() string { return "LSET" }

// Party returns Recipient.
func (LSET) Party() Party { return Recipient }

// AppendCommand appends the command.
//
// Spec: smp.md 9.12
func (c LSET) AppendCommand(dst []byte, _ wire.Version) []byte {
	dst = wire.AppendStr(append(dst, "LSET "...), c.LinkID)
	return appendLinkData(dst, c.FixedData, c.UserData)
}

func readLSET(r *wire.Reader) LSET {
	c := LSET{LinkID: r.Str()}
	c.FixedData, c.UserData = readLinkData(r)
	return c
}

// LDEL deletes the link data of a queue. It is a recipient command.
//
// Spec: smp.md 9.12
type LDEL struct{}

// Tag returns "LDEL".
func (LDEL) Tag() string { return "LDEL" }

// Party returns Recipient.
func (LDEL) Party() Party { return Recipient }

// AppendCommand appends the command.
func (LDEL) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "LDEL"...) }

// LKEY secures the queue of a one-time link with the key that authorises the command, and asks for its data.
//
// Spec: smp.md 9.12
type LKEY struct{ SenderKey key.Public }

// Tag returns "LKEY".
func (LKEY) Tag() string { return "LKEY" }

// Party returns Link.
func (LKEY) Party() Party { return Link }

// AppendCommand appends the command.
//
// Spec: smp.md 9.12
func (c LKEY) AppendCommand(dst []byte, _ wire.Version) []byte {
	return c.SenderKey.AppendWire(append(dst, "LKEY "...))
}

func readLKEY(r *wire.Reader) LKEY { return LKEY{SenderKey: key.ReadAuth(r)} }

// LGET asks for the data of a contact link.
//
// Spec: smp.md 9.12
type LGET struct{}

// Tag returns "LGET".
func (LGET) Tag() string { return "LGET" }

// Party returns Link.
func (LGET) Party() Party { return Link }

// AppendCommand appends the command.
func (LGET) AppendCommand(dst []byte, _ wire.Version) []byte { return append(dst, "LGET"...) }

// LNK is the response to LKEY and LGET.
//
// Spec: smp.md 9.12
type LNK struct {
	SenderID  wire.EntityID
	FixedData Opaque
	UserData  Opaque
}

// Tag returns "LNK".
func (LNK) Tag() string { return "LNK" }

// AppendResponse appends the response.
//
// Spec: smp.md 9.12
func (r LNK) AppendResponse(dst []byte, _ wire.Version) []byte {
	dst = wire.AppendStr(append(dst, "LNK "...), r.SenderID)
	return appendLinkData(dst, r.FixedData, r.UserData)
}

func readLNK(r *wire.Reader) LNK {
	l := LNK{SenderID: r.Str()}
	l.FixedData, l.UserData = readLinkData(r)
	return l
}

func appendLinkData(dst []byte, fixed, user Opaque) []byte {
	return wire.AppendLarge(wire.AppendLarge(dst, fixed), user)
}

func readLinkData(r *wire.Reader) (fixed, user Opaque) {
	fixed = r.Large()
	return fixed, r.Large()
}
