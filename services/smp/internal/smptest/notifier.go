package smptest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"sotto/shared/auth"
	"sotto/shared/box"
	"sotto/shared/smp"
)

// notifierState is what clients know of a queue's notifier.
type notifierState struct {
	id     []byte
	key    auth.Key
	dh     auth.Key // the recipient's half of the encryption
	secret [32]byte
}

// notifier is the present one of q, or, with old set, the one before. It is nil if there was none.
func (q *queueState) notifier(old bool) *notifierState {
	n := len(q.notifiers) - 1
	if old {
		n--
	}
	if n < 0 {
		return nil
	}
	return q.notifiers[n]
}

// newNotifier is a notifier that is asked for.
func (k *talk) newNotifier(name string) (*notifierState, error) {
	own, err := k.key(name)
	return &notifierState{key: own, dh: auth.NewX25519()}, err
}

// asNotifier addresses a command to the notifier of its queue, if it has one.
func (k *talk) asNotifier(a args, r *request) {
	if n := r.queue.notifier(a.flag(2, "old")); n != nil {
		r.entity, r.key = n.id, n.key
	}
}

// hasNotifier keeps the notifier that the relay has made for q.
func (q *queueState) hasNotifier(r *smp.NID) error {
	n := q.asking
	switch {
	case n == nil || r == nil:
		return errors.New("a notifier was asked for, or given, that was not given, or asked for")
	case len(r.NotifierID) != idSize:
		return errors.New("the notifier's id has another length")
	}
	for _, other := range q.notifiers {
		if bytes.Equal(other.id, r.NotifierID) {
			return errors.New("the notifier's id is not new")
		}
	}
	secret, err := box.DH(r.DHKey, n.dh.ECDH())
	n.id, n.secret = bytes.Clone(r.NotifierID), secret
	q.notifiers = append(q.notifiers, n)
	return err
}

// eventEntity is the id of the queue that an event is about, or of its notifier: "q.notifier".
func (k *talk) eventEntity(a args) []byte {
	if a.word(0) == "ENDS" {
		return k.service
	}
	name, kind, _ := strings.Cut(a.word(1), ".")
	q := k.queue(name)
	if kind != "notifier" && a.word(0) != "NMSG" {
		return q.recipient
	}
	if n := q.notifier(a.flag(2, "old")); n != nil {
		return n.id
	}
	return nil
}

// expectNID checks and keeps a queue's new notifier.
//
// Spec: smp.md 9.8
func (k *talk) expectNID(a args, r smp.NID) error {
	if a.word(0) != "NID" {
		return errors.New("another response")
	}
	return k.queue(a.word(1)).hasNotifier(&r)
}

// expectNMSG opens a notification. It must be of the message with this text, before or after that arrives, and sealed as
// none before.
//
// Spec: smp.md 10.4
func (k *talk) expectNMSG(a args, r smp.NMSG) error {
	q, name := k.queue(a.word(1)), label(a)
	if a.word(0) != "NMSG" {
		return errors.New("another response")
	}
	if len(r.EncryptedMeta) != smp.EncryptedMetaSize {
		return errors.New("a notification of another size")
	}
	if k.nonces[r.Nonce] {
		return errors.New("a nonce that was used before")
	}
	k.nonces[r.Nonce] = true
	plain, err := box.OpenPadded(nil, r.EncryptedMeta, &r.Nonce, &q.notifier(a.flag(2, "old")).secret)
	if err != nil {
		return err
	}
	meta, err := smp.ParseNotificationMeta(plain)
	if err != nil {
		return err
	}
	if d := time.Since(time.Unix(meta.Time, 0)); d < 0 || (!k.bubble && d > time.Hour) {
		return fmt.Errorf("the time is off by %v", d)
	}
	if msg, ok := q.messages[name]; ok && !bytes.Equal(msg.MessageID, meta.MessageID) {
		return errors.New("the notification of another message")
	}
	q.notified[name] = bytes.Clone(meta.MessageID)
	return nil
}
