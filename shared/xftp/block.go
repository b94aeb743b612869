package xftp

import (
	"crypto/subtle"
	"fmt"
	"io"

	"sotto/shared/auth"
	"sotto/shared/wire"
)

// Transmission is a command or response with what surrounds it, as views of the block it came in.
//
// Spec: xftp.md 6
type Transmission struct {
	Authorization []byte // empty for none; 64, 80 or 114 bytes otherwise
	CorrID        wire.CorrID
	EntityID      wire.EntityID
	Command       []byte
	Authorized    []byte // what the authorization covers: session id, correlation id, entity id and command
}

// Format keeps ids, authorizations and commands out of logs and errors, whatever the verb.
func (Transmission) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[transmission]") }

// MarshalText keeps ids, authorizations and commands out of JSON and logs.
func (Transmission) MarshalText() ([]byte, error) { return []byte("[transmission]"), nil }

// AppendAuthorized appends what a transmission's authorization covers, which is also all of it that follows.
//
// Spec: xftp.md 7.2
func AppendAuthorized(dst, sessionID, corrID, entityID, command []byte) []byte {
	return wire.AppendAuthorized(dst, sessionID, wire.AppendSigned(nil, corrID, entityID, command))
}

// transmissionOffset is where the transmission begins in a block: after the length, the count and its own length.
const transmissionOffset = 2 + 1 + 2

// MaxTransmission is how long a transmission can be.
//
// Spec: xftp.md 6
const MaxTransmission = BlockSize - transmissionOffset

// PutBlock fills a head with the one transmission that is made of an authorization and what it covers. The error is
// [wire.ErrTooLong] if they do not fit. It panics if the authorization is longer than 255 bytes, which none is.
//
// Spec: xftp.md 6
func PutBlock(head *[BlockSize]byte, authorization, authorized []byte) error {
	n := 1 + len(authorization) + len(authorized)
	if n > MaxTransmission {
		return wire.ErrTooLong
	}
	batch := wire.AppendCount(head[2:2], 1)
	batch = wire.AppendUint16(batch, uint16(n))
	batch = append(wire.AppendStr(batch, authorization), authorized...)
	return wire.Pad(head[:], batch)
}

// PutResponse fills a head with a response in version v. The ids, 255 bytes at most each, must not lie in that head. A
// response that does not fit, which takes ids longer than [IDSize], becomes ERR INTERNAL.
//
// Spec: xftp.md 6
func PutResponse(head *[BlockSize]byte, v wire.Version, sessionID, corrID, entityID []byte, r Response) {
	for _, r := range []Response{r, ERR{Err: ErrInternal}} {
		b := append(head[transmissionOffset:transmissionOffset], 0)
		b = wire.AppendStr(wire.AppendStr(wire.AppendStr(b, sessionID), corrID), entityID)
		b = r.AppendResponse(b, v)
		if len(b) > MaxTransmission {
			continue
		}
		wire.AppendUint16(wire.AppendCount(head[2:2], 1), uint16(len(b)))
		if wire.Pad(head[:], head[2:transmissionOffset+len(b)]) == nil {
			return
		}
	}
}

// ParseBlock takes the transmission out of a head, whoever sent it, without looking at its command. The error is
// [ErrBlock], or [ErrSession] for another session id; what could be read until then is in the transmission: an answer to
// a wrong session id, or to an authorization of no known length, echoes the correlation id.
//
// Spec: xftp.md 6.1
func ParseBlock(head, sessionID []byte) (t Transmission, err error) {
	if len(head) != BlockSize {
		return t, ErrBlock
	}
	batch, err := wire.Unpad(head)
	if err != nil {
		return t, ErrBlock
	}
	r := wire.NewReader(batch)
	if r.Byte() != 1 {
		return t, ErrBlock
	}
	b := r.Large()
	if r.Done() != nil {
		return t, ErrBlock
	}
	r = wire.NewReader(b)
	authorization := r.Str()
	start := r.Mark()
	session, corrID, entityID, command := r.Str(), r.Str(), r.Str(), r.Tail()
	switch {
	case r.Failed():
		return t, ErrBlock
	case subtle.ConstantTimeCompare(session, sessionID) != 1:
		return Transmission{CorrID: corrID}, ErrSession
	case len(authorization) > 0 && !auth.PlausibleSize(len(authorization)):
		return Transmission{CorrID: corrID}, ErrBlock
	}
	return Transmission{
		Authorization: authorization, CorrID: corrID, EntityID: entityID, Command: command,
		Authorized: b[start:len(b):len(b)],
	}, nil
}

// ParseRequest takes a command out of the head of a request. When err is not nil it is the answer that is due, as an
// [Error], and the correlation and entity ids of t are those to echo. Who sent it is left to the relay to find out.
//
// Spec: xftp.md 6.1
func ParseRequest(head, sessionID []byte) (t Transmission, c Command, err error) {
	if t, err = ParseBlock(head, sessionID); err != nil {
		return t, nil, err
	}
	if c, err = ParseCommand(t.Command); err != nil {
		return t, nil, err
	}
	if err = CheckCredentials(c, len(t.Authorization) > 0, len(t.EntityID) > 0); err != nil {
		return t, nil, err
	}
	return t, c, nil
}
