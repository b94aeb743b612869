package client

import (
	"fmt"
	"io"
	"sync"

	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Message is a message as its recipient reads it, or the marker that the queue was full.
//
// Spec: smp.md 10.1
type Message struct {
	ID smp.MessageID // for Acknowledge
	smp.Received

	plain []byte // storage of Body
}

// Format prints a placeholder, whatever the verb.
func (*Message) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[message]") }

// MarshalText returns a placeholder.
func (*Message) MarshalText() ([]byte, error) { return []byte("[message]"), nil }

var messagePool = sync.Pool{New: func() any {
	return &Message{ID: make([]byte, 0, 24), plain: make([]byte, 0, smp.PaddedBodySize)}
}}

// Release gives the message's memory back, for reuse. Calling it is optional, and allowed once, on a message that is
// not nil; neither it nor its slices must be used afterwards.
func (m *Message) Release() {
	m.Received = smp.Received{}
	messagePool.Put(m)
}

// Open decrypts a message of the queue. The result shares no memory with msg. The error is a [*ResponseError].
//
// Spec: smp.md 10.1
func (q *Queue) Open(msg smp.MSG) (*Message, error) {
	if len(msg.EncryptedBody) != smp.EncryptedBodySize {
		return nil, &ResponseError{Err: wire.ErrSyntax}
	}
	m := messagePool.Get().(*Message)
	m.ID = append(m.ID[:0], msg.MessageID...)
	nonce := box.NonceFrom(msg.MessageID)
	body, err := box.OpenPadded(m.plain[:0], msg.EncryptedBody, &nonce, &q.Secret)
	if err == nil {
		m.Received, err = smp.ParseReceived(body)
	}
	if err != nil {
		m.Release()
		return nil, &ResponseError{Err: err}
	}
	return m, nil
}

// OpenNotification decrypts what a notification tells about a message of the queue. The error is a [*ResponseError].
//
// Spec: smp.md 10.4
func (q *Queue) OpenNotification(n smp.NMSG) (smp.NotificationMeta, error) {
	plain, err := box.OpenPadded(nil, n.EncryptedMeta, &n.Nonce, &q.NotifierSecret)
	if err != nil {
		return smp.NotificationMeta{}, &ResponseError{Err: err}
	}
	meta, err := smp.ParseNotificationMeta(plain)
	if err != nil {
		return smp.NotificationMeta{}, &ResponseError{Err: err}
	}
	return meta, nil
}
