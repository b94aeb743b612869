package frontdoor

import (
	"bytes"
	"errors"
	"io"
	"net"
	"time"

	"sotto/shared/clienthello"
	"sotto/shared/transport"
)

// What a client is told by an alert.
//
// Source: RFC 8446 6
const (
	alertOverflow   = 22
	alertDecode     = 50
	alertInternal   = 80
	alertNoProtocol = 120
)

// alert is a fatal one, as it is sent before there are keys.
//
// Source: RFC 8446 5.1, 6
func alert(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }

// plainHTTP is the answer to a browser that does not speak TLS.
var plainHTTP = []byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n" +
	"This port speaks TLS: the address begins with https://.\n")

// methods are what an HTTP request may begin with.
var methods = [][]byte{[]byte("GET "), []byte("HEAD "), []byte("POST "), []byte("PUT "), []byte("OPTIONS "), []byte("DELETE ")}

// answerTo is what a client is told whose hello could not be read; nil: nothing.
func answerTo(err error, read []byte) []byte {
	switch {
	case errors.Is(err, clienthello.ErrTooLong):
		return alert(alertOverflow)
	case errors.Is(err, clienthello.ErrMalformed):
		return alert(alertDecode)
	case errors.Is(err, clienthello.ErrNotTLS):
		for _, method := range methods {
			if bytes.HasPrefix(read, method) {
				return plainHTTP
			}
		}
	}
	return nil
}

const (
	// farewellTime is for how long a client may take the answer and stop sending.
	farewellTime = time.Second
	// farewellBytes is how much of what it is still sending is read meanwhile: closing a socket that holds unread bytes
	// would take the answer away.
	farewellBytes = 64 << 10
)

// refuse closes a connection with an answer.
func refuse(conn net.Conn, answer []byte) {
	defer func() { _ = conn.Close() }()
	if answer == nil || conn.SetDeadline(time.Now().Add(farewellTime)) != nil {
		return
	}
	if _, err := conn.Write(answer); err != nil || transport.CloseWrite(conn) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, conn, farewellBytes)
}
