package smp

import (
	"bytes"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// Response is one of the responses and events of this package, always as a value, never as a pointer.
type Response interface {
	// Tag returns the response's word on the wire, in the newest version.
	Tag() string
	// AppendResponse appends the response as version v spells it, without a transmission around it.
	AppendResponse(dst []byte, v wire.Version) []byte
}

// ParseResponse parses a complete response or event of version v. The error is [wire.ErrSyntax], also for an
// unknown tag. Slices in the result are views of b. Where an old version has a different tag (OK for SOK, END for
// DELD) the result is what that tag says.
//
// Spec: smp.md 9.1
func ParseResponse(v wire.Version, b []byte) (Response, error) {
	tag, params, hasParams := bytes.Cut(b, space)
	if p := bareResponse(tag); p != nil {
		if hasParams {
			return nil, wire.ErrSyntax
		}
		return p, nil
	}
	r := wire.NewReader(params)
	p := readResponse(v, tag, &r)
	if p == nil || !hasParams || r.Done() != nil {
		return nil, wire.ErrSyntax
	}
	return p, nil
}

// bareResponse returns the response that consists of this tag alone, or nil.
func bareResponse(tag []byte) Response {
	switch string(tag) {
	case "OK":
		return OK{}
	case "PONG":
		return PONG{}
	case "END":
		return END{}
	case "DELD":
		return DELD{}
	}
	return nil
}

// readResponse reads the parameters of the response with this tag. It returns nil when there is no such response;
// the reader has failed when the parameters are malformed.
func readResponse(v wire.Version, tag []byte, r *wire.Reader) Response {
	switch string(tag) {
	case "MSG":
		return readMSG(r)
	case "SOK":
		return SOK{ServiceID: readMaybeID(r)}
	case "ERR":
		return readERR(r)
	case "IDS":
		return readIDS(r, v)
	case "NMSG":
		return readNMSG(r)
	case "NID":
		return readNID(r)
	case "LNK":
		return readLNK(r)
	case "SOKS":
		return SOKS{Count: r.Int64()}
	case "ENDS":
		return ENDS{Count: r.Int64()}
	case "INFO":
		return INFO{JSON: r.Tail()}
	case "PKEY":
		return readPKEY(r)
	case "PRES":
		return PRES{Encrypted: r.Tail()}
	case "RRES":
		return RRES{Encrypted: r.Tail()}
	}
	return nil
}

// IDS is the response to NEW.
//
// Spec: smp.md 9.2
type IDS struct {
	RecipientID, SenderID wire.EntityID
	DHKey                 key.Public // the relay's X25519 key for this queue
	Mode                  QueueMode
	LinkID                wire.EntityID // nil without link data
	ServiceID             wire.EntityID // nil unless the connection is that of a service
	Notifier              *NID          // nil without notifier credentials
}

// Tag returns "IDS".
func (IDS) Tag() string { return "IDS" }

// AppendResponse appends the response. Below version 9 the mode is lost, below 15 the link id, below 16 the service
// id, below 17 the notifier.
//
// Spec: smp.md 9.2
func (p IDS) AppendResponse(dst []byte, v wire.Version) []byte {
	dst = wire.AppendStr(append(dst, "IDS "...), p.RecipientID)
	dst = wire.AppendStr(dst, p.SenderID)
	dst = p.DHKey.AppendWire(dst)
	switch {
	case v >= VersionShortLinks:
		dst = wire.AppendMaybe(dst, p.Mode != ModeNone)
		if p.Mode != ModeNone {
			dst = append(dst, byte(p.Mode))
		}
		dst = appendMaybeID(dst, p.LinkID)
	case v >= VersionSenderSecure:
		dst = wire.AppendBool(dst, p.Mode == ModeMessaging)
	}
	if v >= VersionService {
		dst = appendMaybeID(dst, p.ServiceID)
	}
	if v >= VersionNotifierCreds {
		dst = wire.AppendMaybe(dst, p.Notifier != nil)
		if p.Notifier != nil {
			dst = p.Notifier.appendFields(dst)
		}
	}
	return dst
}

func readIDS(r *wire.Reader, v wire.Version) IDS {
	p := IDS{RecipientID: r.Str(), SenderID: r.Str(), DHKey: key.ReadDH(r)}
	switch {
	case v >= VersionShortLinks:
		if r.Maybe() {
			p.Mode = readMode(r)
		}
		p.LinkID = readMaybeID(r)
	case v >= VersionSenderSecure:
		p.Mode = modeOf(r.Bool())
	}
	if v >= VersionService {
		p.ServiceID = readMaybeID(r)
	}
	if v >= VersionNotifierCreds && r.Maybe() {
		n := readNID(r)
		p.Notifier = &n
	}
	return p
}

// SOK is the response to SUB and NSUB.
//
// Spec: smp.md 9.4
// Spec: smp.md 9.13
type SOK struct{ ServiceID wire.EntityID } // nil unless the connection is that of a service

// Tag returns "SOK".
func (SOK) Tag() string { return "SOK" }

// AppendResponse appends the response, which is OK below version 16.
//
// Spec: smp.md 9.4
func (p SOK) AppendResponse(dst []byte, v wire.Version) []byte {
	if v < VersionService {
		return append(dst, "OK"...)
	}
	return appendMaybeID(append(dst, "SOK "...), p.ServiceID)
}

// SOKS is the response to NSUBS.
//
// Spec: smp.md 9.13
type SOKS struct{ Count int64 } // number of queues associated with the service

// Tag returns "SOKS".
func (SOKS) Tag() string { return "SOKS" }

// AppendResponse appends the response.
//
// Spec: smp.md 9.13
func (p SOKS) AppendResponse(dst []byte, _ wire.Version) []byte {
	return wire.AppendInt64(append(dst, "SOKS "...), p.Count)
}

// MSG delivers a message, as an event or as the response to ACK and GET.
//
// Spec: smp.md 10.1
type MSG struct {
	MessageID     MessageID // also the nonce of the encryption
	EncryptedBody Opaque    // EncryptedBodySize bytes; not checked here
}

// Tag returns "MSG".
func (MSG) Tag() string { return "MSG" }

// AppendResponse appends the message.
//
// Spec: smp.md 10.1
func (p MSG) AppendResponse(dst []byte, _ wire.Version) []byte {
	return append(wire.AppendStr(append(dst, "MSG "...), p.MessageID), p.EncryptedBody...)
}

func readMSG(r *wire.Reader) MSG { return MSG{MessageID: r.Str(), EncryptedBody: r.Tail()} }

// NID is the response to NKEY.
//
// Spec: smp.md 9.8
type NID struct {
	NotifierID wire.EntityID
	DHKey      key.Public // the relay's X25519 key for this queue's notifications
}

// Tag returns "NID".
func (NID) Tag() string { return "NID" }

// AppendResponse appends the response.
//
// Spec: smp.md 9.8
func (p NID) AppendResponse(dst []byte, _ wire.Version) []byte {
	return p.appendFields(append(dst, "NID "...))
}

// appendFields appends what NID and IDS share.
func (p NID) appendFields(dst []byte) []byte {
	return p.DHKey.AppendWire(wire.AppendStr(dst, p.NotifierID))
}

func readNID(r *wire.Reader) NID { return NID{NotifierID: r.Str(), DHKey: key.ReadDH(r)} }

// NMSG is the event that tells a notifier of a message.
//
// Spec: smp.md 10.4
type NMSG struct {
	Nonce         [24]byte
	EncryptedMeta Opaque // EncryptedMetaSize bytes, at most 255; holds a NotificationMeta
}

// Tag returns "NMSG".
func (NMSG) Tag() string { return "NMSG" }

// AppendResponse appends the event.
//
// Spec: smp.md 10.4
func (p NMSG) AppendResponse(dst []byte, _ wire.Version) []byte {
	return wire.AppendStr(append(append(dst, "NMSG "...), p.Nonce[:]...), p.EncryptedMeta)
}

func readNMSG(r *wire.Reader) NMSG {
	var p NMSG
	copy(p.Nonce[:], r.Take(len(p.Nonce)))
	p.EncryptedMeta = r.Str()
	return p
}

// END is the event that another connection has subscribed to the queue or notifier.
//
// Spec: smp.md 10.3
type END struct{}

// Tag returns "END".
func (END) Tag() string { return "END" }

// AppendResponse appends the event.
func (END) AppendResponse(dst []byte, _ wire.Version) []byte { return append(dst, "END"...) }

// ENDS is the event that another connection has taken over a service's subscriptions.
//
// Spec: smp.md 10.3
type ENDS struct{ Count int64 } // number of subscriptions lost

// Tag returns "ENDS".
func (ENDS) Tag() string { return "ENDS" }

// AppendResponse appends the event.
//
// Spec: smp.md 10.3
func (p ENDS) AppendResponse(dst []byte, _ wire.Version) []byte {
	return wire.AppendInt64(append(dst, "ENDS "...), p.Count)
}

// DELD is the event that the queue or the notifier was deleted.
//
// Spec: smp.md 10.3
type DELD struct{}

// Tag returns "DELD".
func (DELD) Tag() string { return "DELD" }

// AppendResponse appends the event, which is END below version 10.
//
// Spec: smp.md 10.3
func (DELD) AppendResponse(dst []byte, v wire.Version) []byte {
	if v < VersionDeleted {
		return append(dst, "END"...)
	}
	return append(dst, "DELD"...)
}

// INFO is the response to QUE.
//
// Spec: smp.md 9.9
type INFO struct{ JSON Opaque } // a QueueInfo

// Tag returns "INFO".
func (INFO) Tag() string { return "INFO" }

// AppendResponse appends the response.
//
// Spec: smp.md 9.9
func (p INFO) AppendResponse(dst []byte, _ wire.Version) []byte {
	return append(append(dst, "INFO "...), p.JSON...)
}

// OK is the response of commands that have nothing else to say.
//
// Spec: smp.md 9.1
type OK struct{}

// Tag returns "OK".
func (OK) Tag() string { return "OK" }

// AppendResponse appends the response.
func (OK) AppendResponse(dst []byte, _ wire.Version) []byte { return append(dst, "OK"...) }

// PONG is the response to PING.
//
// Spec: smp.md 9.11
type PONG struct{}

// Tag returns "PONG".
func (PONG) Tag() string { return "PONG" }

// AppendResponse appends the response.
func (PONG) AppendResponse(dst []byte, _ wire.Version) []byte { return append(dst, "PONG"...) }

// ERR is the response of a command that failed, or the event that an operator blocked a subscribed queue.
//
// Spec: smp.md 7
type ERR struct{ Err Error }

// Tag returns "ERR".
func (ERR) Tag() string { return "ERR" }

// AppendResponse appends the response.
//
// Spec: smp.md 7
func (p ERR) AppendResponse(dst []byte, v wire.Version) []byte {
	return p.Err.AppendError(append(dst, "ERR "...), v)
}

func readERR(r *wire.Reader) ERR {
	e, err := ParseError(r.Tail())
	if err != nil {
		r.Fail()
	}
	return ERR{Err: e}
}
