// Package clienthello reads what a TLS connection begins with: the records of a ClientHello, and the message in them.
// The front door leads connections by it, package transport chooses who makes the handshake, and package tls13 makes
// it.
package clienthello

import (
	"encoding/binary"
	"errors"
	"io"
)

// Bounds of a ClientHello.
const (
	// MaxMessage is the longest message, without its header. Browsers send about 2 KB, with a key share that is safe from
	// quantum computers, and crypto/tls takes 64 KB.
	MaxMessage = 16 << 10
	// maxRead is how much is read for one, with the headers of records. The message may be split into many, and a client
	// that puts each byte in a record of its own is not honest.
	maxRead = 24 << 10
	// firstRead is the room for the first read; it grows only as bytes come, so that connections which never say
	// anything hold little. Apps send about 250 bytes.
	firstRead = 1 << 10
)

// The numbers of TLS that matter for reading.
//
// Source: RFC 8446 4, 5.1
const (
	recordHeader    = 5
	messageHeader   = 4
	recordHandshake = 22
	messageHello    = 1
	maxRecord       = 16<<10 + 256
)

// What a connection may begin with instead of a ClientHello.
var (
	ErrNotTLS    = errors.New("clienthello: not TLS")
	ErrMalformed = errors.New("clienthello: malformed ClientHello")
	ErrTooLong   = errors.New("clienthello: ClientHello too long")
)

// Read reads the ClientHello that r begins with. raw is all that was read, also with an error; it may go beyond the
// message. The error is one of this package's, or r's.
func Read(r io.Reader) (hello *Hello, raw []byte, err error) {
	g := greeting{raw: make([]byte, firstRead)}
	for {
		message, err := g.assemble()
		if err != nil {
			return nil, g.raw[:g.read], err
		}
		if message != nil {
			hello, err := Parse(message)
			return hello, g.raw[:g.read], err
		}
		if !g.grow() {
			return nil, g.raw[:g.read], ErrTooLong
		}
		n, err := r.Read(g.raw[g.read:])
		g.read += n
		if n == 0 && err != nil {
			return nil, g.raw[:g.read], err
		}
	}
}

// greeting is what has come of a connection's beginning.
type greeting struct {
	raw     []byte
	read    int    // bytes of raw that were read
	record  int    // where in raw the record begins that is not yet taken to its end
	taken   int    // bytes of that record's content that were taken
	message []byte // what there is of the message, with its header
}

// grow sees to it that there is room for reading more; false if that would be too much.
func (g *greeting) grow() bool {
	if g.read < len(g.raw) {
		return true
	}
	if len(g.raw) == maxRead {
		return false
	}
	larger := make([]byte, min(2*len(g.raw), maxRead))
	copy(larger, g.raw)
	g.raw = larger
	return true
}

// assemble takes what has come of the message out of the records, and returns it if it is all there.
//
// Source: RFC 8446 5.1
func (g *greeting) assemble() ([]byte, error) {
	for {
		record := g.raw[g.record:g.read]
		if err := checkRecord(record); err != nil {
			return nil, err
		}
		if len(record) < recordHeader {
			return nil, nil
		}
		end := recordHeader + int(binary.BigEndian.Uint16(record[3:]))
		part := record[recordHeader+g.taken : min(end, len(record))]
		g.message = append(g.message, part...)
		g.taken += len(part)
		if message, err := complete(g.message); message != nil || err != nil {
			return message, err
		}
		if len(record) < end {
			return nil, nil
		}
		g.record, g.taken = g.record+end, 0
	}
}

// checkRecord tells as early as it shows that this is no record of a handshake. Its version means nothing.
func checkRecord(record []byte) error {
	switch {
	case len(record) > 0 && record[0] != recordHandshake:
		return ErrNotTLS
	case len(record) < recordHeader:
		return nil
	case binary.BigEndian.Uint16(record[3:]) == 0, binary.BigEndian.Uint16(record[3:]) > maxRecord:
		return ErrMalformed
	}
	return nil
}

// complete returns the message that parts begin with, if it is all there.
func complete(parts []byte) ([]byte, error) {
	if len(parts) > 0 && parts[0] != messageHello {
		return nil, ErrMalformed
	}
	if len(parts) < messageHeader {
		return nil, nil
	}
	length := int(parts[1])<<16 | int(parts[2])<<8 | int(parts[3])
	switch {
	case length > MaxMessage:
		return nil, ErrTooLong
	case len(parts) < messageHeader+length:
		return nil, nil
	}
	return parts[:messageHeader+length], nil
}
