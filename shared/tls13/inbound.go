package tls13

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
)

// inbound is the direction from the peer. Read, and the handshake before it, hold its lock.
type inbound struct {
	sync.Mutex
	half
	header  [recordHeader]byte
	have    int     // bytes of the present record that have come, with the header
	buf     *buffer // holds the present record; nil until its header has come
	rest    []byte  // data of the present record that is not read out
	hand    []byte  // handshake messages that are not taken, the last of which may be incomplete
	idle    int     // records in a row without data
	budget  int     // bytes that may still come in the handshake
	shaking bool    // during the handshake
	unasked bool    // a server's, before the first ClientHello
	watcher Watcher // is told of records; nil: nobody
	err     error   // that ended this direction
}

// record reads the next record, without those that change_cipher_spec is sent in, and returns its type and content, which
// is valid until done. Every error but a timeout is for good.
func (in *inbound) record(raw net.Conn) (kind byte, content []byte, err error) {
	if in.err != nil {
		return 0, nil, in.err
	}
	kind, content, err = in.next(raw)
	if err != nil {
		in.stop(err)
	}
	return kind, content, err
}

// next is record without keeping the error.
func (in *inbound) next(raw net.Conn) (kind byte, content []byte, err error) {
	for {
		record, err := in.fill(raw)
		if err != nil {
			return 0, nil, err
		}
		if record[0] != recordChangeCipherSpec {
			if kind, content, err = in.open(record); err != nil {
				return 0, nil, err
			}
			return kind, content, in.check(kind, content)
		}
		// From the first ClientHello to the peer's Finished it means nothing, wherever it comes. Source: RFC 8446 5, D.4
		if !in.shaking || in.unasked || len(record) != recordHeader+1 || record[recordHeader] != 1 {
			return 0, nil, ErrRecord
		}
		in.done()
		if err := in.count(0); err != nil {
			return 0, nil, err
		}
	}
}

// stop ends this direction with an error, unless that is a timeout: then the record may go on coming.
func (in *inbound) stop(err error) {
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return
	}
	if in.err == nil {
		in.err = err
	}
	in.done()
	in.wipe()
	in.hand = nil
}

// check counts a record and refuses one that has no place.
//
// Source: RFC 8446 5.1
func (in *inbound) check(kind byte, content []byte) error {
	switch kind {
	case recordData:
		if in.shaking || len(in.hand) > 0 {
			return ErrRecord
		}
		return in.count(len(content))
	case recordHandshake, recordAlert:
		if len(content) == 0 || kind == recordAlert && len(in.hand) > 0 {
			return ErrRecord
		}
		if in.shaking && kind == recordHandshake {
			return in.count(len(content)) // the budget bounds these
		}
		return in.count(0)
	default:
		return ErrRecord
	}
}

// count counts a record by the data it has brought.
func (in *inbound) count(data int) error {
	if data > 0 {
		in.idle = 0
		return nil
	}
	if in.idle++; in.idle > maxIdleRecords {
		return ErrFlood
	}
	return nil
}

// fill reads until the present record is whole. What has come of it is kept if reading fails.
func (in *inbound) fill(raw net.Conn) ([]byte, error) {
	if in.have < recordHeader {
		if err := in.read(raw, in.header[in.have:]); err != nil {
			return nil, err
		}
	}
	length := int(binary.BigEndian.Uint16(in.header[3:]))
	if in.buf == nil {
		if err := in.checkHeader(length); err != nil {
			return nil, err
		}
		in.buf = takeBuffer()
		copy(in.buf[:], in.header[:])
		if in.watcher != nil {
			in.watcher.Begun()
		}
	}
	whole := in.buf[:recordHeader+length]
	if err := in.read(raw, whole[in.have:]); err != nil {
		return nil, err
	}
	if in.watcher != nil {
		in.watcher.Whole()
	}
	return whole, nil
}

// checkHeader checks what a header says before there is room for the record. Its version means nothing.
//
// Source: RFC 8446 5.1
// Source: RFC 8446 5.2
func (in *inbound) checkHeader(length int) error {
	switch kind := in.header[0]; {
	case length > maxCiphertext:
		return ErrRecordSize
	case kind == recordChangeCipherSpec:
		// checked when it is whole
	case in.aead != nil && kind != recordData:
		return ErrRecord
	case in.aead == nil && kind != recordHandshake && kind != recordAlert:
		return ErrRecord
	}
	if in.shaking {
		if in.budget -= recordHeader + length; in.budget < 0 {
			return ErrTooLarge
		}
	}
	return nil
}

// read fills p, and counts what has come.
func (in *inbound) read(raw net.Conn, p []byte) error {
	for len(p) > 0 {
		n, err := raw.Read(p)
		in.have += n
		p = p[n:]
		if len(p) == 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF // the peer has not said that this is the end
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// done ends the use of the present record.
func (in *inbound) done() {
	if in.buf != nil {
		in.buf.release()
	}
	in.buf, in.rest, in.have = nil, nil, 0
}

// gather appends a record's content to the handshake messages and ends the use of the record.
func (in *inbound) gather(content []byte) {
	in.hand = append(in.hand, content...)
	in.done()
}

// message takes the first of the gathered handshake messages, with its header, if it is whole; nil if not.
func (in *inbound) message() ([]byte, error) {
	if len(in.hand) < messageHeader {
		return nil, nil
	}
	length := int(in.hand[1])<<16 | int(in.hand[2])<<8 | int(in.hand[3])
	most := maxMessage(in.hand[0])
	switch {
	case most == 0:
		return nil, ErrUnexpected
	case length > most:
		return nil, ErrTooLarge
	case len(in.hand) < messageHeader+length:
		return nil, nil
	}
	message := in.hand[: messageHeader+length : messageHeader+length]
	if in.hand = in.hand[len(message):]; len(in.hand) == 0 {
		in.hand = nil // there may be long waiting now
	}
	return message, nil
}

// protectNext changes the keys; no message may lie on both sides of the change.
//
// Source: RFC 8446 5.1
func (in *inbound) protectNext(s *suite, secret []byte) error {
	if len(in.hand) > 0 {
		return ErrUnexpected
	}
	in.protect(s, secret)
	return nil
}
