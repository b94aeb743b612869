package xftp

import (
	"bytes"

	"sotto/shared/key"
	"sotto/shared/wire"
)

// Response is one of the relay's responses of this package, always as a value, never as a pointer.
type Response interface {
	// AppendResponse appends the response as version v spells it, without a transmission around it.
	AppendResponse(dst []byte, v wire.Version) []byte
}

// SIDS answers FNEW: the id of the sender, and those of the recipients in the order of their keys.
//
// Spec: xftp.md 8
type SIDS struct {
	SenderID     wire.EntityID
	RecipientIDs []wire.EntityID // 1 to 255
}

// AppendResponse appends the response.
func (s SIDS) AppendResponse(dst []byte, _ wire.Version) []byte {
	return appendIDs(wire.AppendStr(append(dst, "SIDS "...), s.SenderID), s.RecipientIDs)
}

// RIDS answers FADD: the ids of the new recipients in the order of their keys.
//
// Spec: xftp.md 8
type RIDS struct{ RecipientIDs []wire.EntityID }

// AppendResponse appends the response.
func (s RIDS) AppendResponse(dst []byte, _ wire.Version) []byte {
	return appendIDs(append(dst, "RIDS "...), s.RecipientIDs)
}

// NonceSize is the length of the nonce that a download is encrypted with.
//
// Spec: xftp.md 8.6
const NonceSize = 24

// FILE answers FGET, and the encrypted chunk follows its block: the relay's X25519 key of this download, and the nonce.
//
// Spec: xftp.md 8.6
type FILE struct {
	Key   key.Public
	Nonce [NonceSize]byte
}

// AppendResponse appends the response.
func (f FILE) AppendResponse(dst []byte, _ wire.Version) []byte {
	return append(f.Key.AppendWire(append(dst, "FILE "...)), f.Nonce[:]...)
}

// OK answers FPUT, FDEL and FACK.
//
// Spec: xftp.md 8
type OK struct{}

// AppendResponse appends the response.
func (OK) AppendResponse(dst []byte, _ wire.Version) []byte { return append(dst, "OK"...) }

// PONG answers PING.
//
// Spec: xftp.md 8.4
type PONG struct{}

// AppendResponse appends the response.
func (PONG) AppendResponse(dst []byte, _ wire.Version) []byte { return append(dst, "PONG"...) }

// ERR answers any command.
//
// Spec: xftp.md 9.1
type ERR struct{ Err Error }

// AppendResponse appends the response.
func (e ERR) AppendResponse(dst []byte, v wire.Version) []byte {
	return e.Err.AppendError(append(dst, "ERR "...), v)
}

// ParseResponse parses a complete response. Slices in the result are views of b. The error is [wire.ErrSyntax].
//
// Spec: xftp.md 8
func ParseResponse(b []byte) (Response, error) {
	switch string(b) {
	case "OK":
		return OK{}, nil
	case "PONG":
		return PONG{}, nil
	}
	tag, params, ok := bytes.Cut(b, space)
	if !ok {
		return nil, wire.ErrSyntax
	}
	r := wire.NewReader(params)
	var response Response
	switch string(tag) {
	case "SIDS":
		response = SIDS{SenderID: r.Str(), RecipientIDs: readIDs(&r)}
	case "RIDS":
		response = RIDS{RecipientIDs: readIDs(&r)}
	case "FILE":
		f := FILE{Key: key.ReadDH(&r)}
		copy(f.Nonce[:], r.Take(NonceSize))
		response = f
	case "ERR":
		e, err := ParseError(params)
		if err != nil {
			return nil, err
		}
		return ERR{Err: e}, nil
	default:
		return nil, wire.ErrSyntax
	}
	if err := r.Done(); err != nil {
		return nil, err
	}
	return response, nil
}

func appendIDs(dst []byte, ids []wire.EntityID) []byte {
	dst = wire.AppendCount(dst, len(ids))
	for _, id := range ids {
		dst = wire.AppendStr(dst, id)
	}
	return dst
}

// readIDs reads 1 to 255 ids.
func readIDs(r *wire.Reader) []wire.EntityID {
	var ids []wire.EntityID
	for range r.NonEmptyCount() {
		ids = append(ids, r.Str())
		if r.Failed() {
			return nil
		}
	}
	return ids
}
