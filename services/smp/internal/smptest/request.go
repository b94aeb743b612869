package smptest

import (
	"bytes"
	"crypto/rand"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// queueState is what clients know of a queue.
type queueState struct {
	name                    string
	recipient, sender, link []byte
	mode                    smp.QueueMode
	dh                      auth.Key // the recipient's half of the message encryption
	secret                  [32]byte
	messages                map[string]smp.MSG // by the text that was sent
	notified                map[string][]byte  // ids of messages, likewise
	notifiers               []*notifierState   // the present one last
	asking                  *notifierState     // by the command whose answer is looked at
}

// idSize is that of the ids and correlation ids that clients make. Spec: smp.md 2.8
const idSize = 24

func randomID() []byte {
	id := make([]byte, idSize)
	_, _ = rand.Read(id)
	return id
}

// send writes one block of these commands.
func (k *talk) send(sp *speaker, items []item) error {
	var p wire.Packer
	for i := range items {
		t, err := k.transmission(sp, &items[i])
		if err != nil {
			return fmt.Errorf("%s: %w", items[i].text, err)
		}
		if t == nil { // it sent a block itself
			return nil
		}
		if !p.Add(t) {
			return fmt.Errorf("%s: no room in the block", items[i].text)
		}
	}
	return sp.conn.WriteBlock(p.Payload())
}

// transmission makes a command ready to be sent, and notes that it awaits an answer. Three forms go around that:
// "payload HEX" is a whole block's payload, "transmission HEX" one transmission of it, "garbage" a block of noise.
func (k *talk) transmission(sp *speaker, i *item) ([]byte, error) {
	a := i.args
	switch a.word(0) {
	case "payload", "transmission":
		b, err := hex.DecodeString(strings.Join(a.after(1), ""))
		if err != nil || a.word(0) == "transmission" {
			return b, err
		}
		return nil, sp.conn.WriteBlock(b)
	case "garbage":
		return nil, sp.conn.WriteRaw(bytes.Repeat([]byte{0xff}, wire.BlockSize))
	}
	r, err := k.request(a)
	if err != nil {
		return nil, err
	}
	return k.authorize(sp, a, r)
}

// request is a command with what it is sent with.
type request struct {
	command []byte
	tag     string
	queue   *queueState
	entity  []byte
	key     auth.Key
	corrID  []byte

	notifier *notifierState // that is asked for
}

// authorize makes a transmission of a command. The options that change it, for any command:
//
//	key=k             authorized by this key instead of the queue's, or the one in the command
//	auth=none         not authorized; auth=bad: with a wrong signature; auth=junk:64: 64 arbitrary bytes
//	entity=none       no entity id; entity="text", or one of q1: entity=q1.recipient, q1.sender, q1.link, q1.notifier
//	corr=none         no correlation id; corr="text"
//	session=wrong     another session id, in version 6
//	service           with a wrong service signature, from version 16; those of services have the right one
//	service=none      of a service, but without its signature
//	n={1..9}          nothing: to send the same command several times
func (k *talk) authorize(sp *speaker, a args, r request) (_ []byte, err error) {
	if r.corrID == nil {
		r.corrID = randomID()
	}
	sp.asService(a, &r)
	if corr, ok := a.options["corr"]; ok {
		r.corrID = []byte(corr)
		if corr == "none" {
			r.corrID = []byte{}
		}
	}
	if name, ok := a.options["entity"]; ok {
		r.entity = k.entity(name)
	}
	if name, ok := a.options["key"]; ok {
		if r.key, err = k.key(name); err != nil {
			return nil, err
		}
	}
	session := sp.conn.SessionID()
	signed := wire.AppendSigned(nil, r.corrID, r.entity, r.command)
	authorized := wire.AppendAuthorized(nil, session, signed)
	service, authorized, err := sp.signForService(a, &r, authorized)
	if err != nil {
		return nil, err
	}
	authorization, err := r.key.Authorize(sp.conn.Relay().Key, r.corrID, authorized)
	if err != nil {
		return nil, err
	}
	if authorization, err = spoil(authorization, a.options["auth"]); err != nil {
		return nil, err
	}
	if a.flag(1, "service") {
		service = bytes.Repeat([]byte{7}, 64)
	}
	if a.options["session"] == "wrong" {
		session = randomID()
	}
	sp.asked = append(sp.asked, asked{tag: r.tag, corrID: r.corrID, entity: r.entity, queue: r.queue, notifier: r.notifier})
	return wire.AppendTransmission(nil, sp.conn.Version(), false, authorization, service, session, signed), nil
}

// spoil changes an authorization as the option auth says.
func spoil(authorization []byte, how string) ([]byte, error) {
	size, isJunk := strings.CutPrefix(how, "junk:")
	switch {
	case how == "":
		return authorization, nil
	case how == "none":
		return nil, nil
	case how == "bad" && len(authorization) > 0:
		authorization[20] ^= 1
		return authorization, nil
	case isJunk:
		n, err := strconv.Atoi(size)
		return bytes.Repeat([]byte{0x55}, n), err
	}
	return nil, fmt.Errorf("no such authorization")
}

// entity is the value of the option entity.
func (k *talk) entity(name string) []byte {
	queue, kind, _ := strings.Cut(name, ".")
	q := k.queues[queue]
	switch {
	case name == "none":
		return nil
	case q != nil && kind == "recipient":
		return q.recipient
	case q != nil && kind == "sender":
		return q.sender
	case q != nil && kind == "link":
		return q.link
	case q != nil && kind == "notifier" && q.notifier(false) != nil:
		return q.notifier(false).id
	}
	return []byte(name)
}

// request builds a command:
//
//	NEW q [mode=M|C] [subscribe] [password=x] [fixed="..." user="..."] [sender=wrong] [notifier=k]
//	SUB q, GET q, OFF q, DEL q, QUE q, LDEL q, NDEL q, SUBS q, LGET q, NSUB q [old], NSUBS q
//	SUBS, NSUBS                                            of the service that the client is
//	KEY q k, SKEY q k, LKEY q k, RKEY q k..., NKEY q k     k, or the key q itself: the recipient's
//	SEND q ["text" | size=N | size=max | size=max+1] [notify]
//	ACK q ["text" | size=... | quota | empty | wrong | short]     the message that held the text
//	LSET q fixed="..." user="..." [link=wrong|short|q2]     the queue's link id, made up if it has none, or another
//	PING, PRXY [password=x], PFWD, RFWD
//	raw "TAG parameters" [x=00ff]      bytes: the text, then hex
//
// Recipient commands are for the recipient id and with the recipient's key, those of the sender for the sender id
// and with the key of the command, if any, those of the notifier for its id and with its key, once the queue has one: the
// one from the last NKEY or, with "old", the one before.
func (k *talk) request(a args) (r request, err error) {
	if err := a.only(requestOptions...); err != nil {
		return r, err
	}
	r.tag = a.word(0)
	if r.tag == "raw" {
		return k.raw(a)
	}
	if a.word(1) != "" && !standAlone[r.tag] {
		r.queue = k.queue(a.word(1))
		r.entity = r.queue.recipient
	}
	cmd, err := k.command(a, &r)
	if err != nil {
		return r, err
	}
	if cmd.Tag() != r.tag {
		return r, errors.New("no such command")
	}
	switch cmd.Party() {
	case smp.Recipient, smp.RecipientService, smp.Notifier, smp.NotifierService, smp.Creator:
		r.key, err = k.key(a.word(1))
	case smp.Sender:
		r.entity = r.queue.sender
	case smp.Link:
		r.entity = r.queue.link
	}
	if cmd.Party() == smp.Notifier {
		k.asNotifier(a, &r)
	}
	r.command = cmd.AppendCommand(nil, k.version)
	return r, err
}

var requestOptions = []string{
	"key", "auth", "entity", "corr", "session", "mode", "password", "fixed", "user", "link", "sender", "size", "x", "n", "notifier",
	"service",
}

var standAlone = map[string]bool{"PING": true, "PRXY": true, "PFWD": true, "RFWD": true}

// raw is a command given as bytes.
func (k *talk) raw(a args) (r request, err error) {
	if len(a.texts) != 1 {
		return r, errors.New("raw needs a text")
	}
	more, err := hex.DecodeString(a.options["x"])
	r.command = append([]byte(a.texts[0]), more...)
	r.tag, _, _ = strings.Cut(a.texts[0], " ")
	return r, err
}

// command is the command itself.
func (k *talk) command(a args, r *request) (smp.Command, error) {
	if bare, err := smp.ParseCommand(k.version, []byte(r.tag)); err == nil {
		return bare, nil
	}
	switch r.tag {
	case "NEW":
		return k.newQueue(a, r)
	case "SEND":
		body, err := k.body(a)
		return smp.SEND{Notify: a.flag(2, "notify"), Body: body}, err
	case "ACK":
		id, err := k.messageID(a, r.queue)
		return smp.ACK{MessageID: id}, err
	case "LSET":
		return k.setLink(a, r.queue), nil
	case "PRXY":
		password, given := a.options["password"]
		return smp.PRXY{Server: k.relay.Address(), HasBasicAuth: given, BasicAuth: []byte(password)}, nil
	case "PFWD":
		return smp.PFWD{Version: k.version, Key: auth.NewX25519().Public(), Encrypted: make([]byte, 100)}, nil
	case "RFWD":
		return smp.RFWD{Encrypted: make([]byte, 100)}, nil
	}
	return k.keyCommand(a, r)
}

// keyCommand is a command whose parameters are keys.
func (k *talk) keyCommand(a args, r *request) (smp.Command, error) {
	var keys []key.Public
	for _, name := range a.after(2) {
		if name == "service" {
			continue
		}
		one, err := k.key(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, one.Public())
		r.key = one
	}
	if len(keys) == 0 {
		return nil, errors.New("no such command, or it lacks a key")
	}
	switch r.tag {
	case "KEY":
		return smp.KEY{SenderKey: keys[0]}, nil
	case "SKEY":
		return smp.SKEY{SenderKey: keys[0]}, nil
	case "LKEY":
		return smp.LKEY{SenderKey: keys[0]}, nil
	case "RKEY":
		return smp.RKEY{Keys: keys}, nil
	case "NKEY":
		n, err := k.newNotifier(a.word(2))
		r.notifier = n
		return smp.NKEY{NotifierKey: n.key.Public(), DHKey: n.dh.Public()}, err
	}
	return nil, errors.New("no such command")
}

// newQueue is NEW. With link data, the sender id is the one that the correlation id gives.
//
// Spec: smp.md 9.2
func (k *talk) newQueue(a args, r *request) (smp.Command, error) {
	q := r.queue
	own, err := k.key(q.name)
	if err != nil {
		return nil, err
	}
	q.dh = auth.NewX25519()
	r.entity = nil
	password, given := a.options["password"]
	cmd := smp.NEW{
		AuthKey: own.Public(), DHKey: q.dh.Public(), HasBasicAuth: given, BasicAuth: []byte(password), Subscribe: a.flag(2, "subscribe"),
	}
	if name, ok := a.options["notifier"]; ok {
		if r.notifier, err = k.newNotifier(name); err != nil {
			return nil, err
		}
		cmd.Notifier = &smp.NotifierCredentials{NotifierKey: r.notifier.key.Public(), DHKey: r.notifier.dh.Public()}
	}
	if mode := a.options["mode"]; mode != "" {
		cmd.Queue = &smp.QueueRequest{Mode: smp.QueueMode(mode[0])}
		q.mode = cmd.Queue.Mode
	}
	if fixed, ok := a.options["fixed"]; ok {
		r.corrID = randomID()
		hash := sha3.Sum384(r.corrID)
		q.sender, q.link = hash[:idSize], nil
		if q.mode == smp.ModeContact {
			q.link = randomID()
		}
		if a.options["sender"] == "wrong" {
			q.sender = randomID()
		}
		cmd.Queue.Link = &smp.LinkRequest{LinkID: q.link, SenderID: q.sender, FixedData: []byte(fixed), UserData: []byte(a.options["user"])}
	}
	return cmd, nil
}

// label names a message by what it holds: its text, or the option size.
func label(a args) string {
	switch size, sized := a.options["size"]; {
	case sized:
		return "size=" + size
	case len(a.texts) > 0:
		return a.texts[0]
	case a.flag(2, "quota"):
		return "quota"
	}
	return ""
}

// body is what a message holds.
func (k *talk) body(a args) ([]byte, error) {
	size, ok := a.options["size"]
	if !ok {
		return []byte(label(a)), nil
	}
	limit := smp.MaxBody(k.version)
	switch size {
	case "max":
		return bytes.Repeat([]byte("m"), limit), nil
	case "max+1":
		return bytes.Repeat([]byte("m"), limit+1), nil
	}
	n, err := strconv.Atoi(size)
	return bytes.Repeat([]byte("m"), n), err
}

// messageID is the id of the message that an ACK names.
func (k *talk) messageID(a args, q *queueState) (smp.MessageID, error) {
	switch {
	case a.flag(2, "empty"):
		return smp.MessageID{}, nil
	case a.flag(2, "wrong"):
		return randomID(), nil
	case a.flag(2, "short"):
		return randomID()[:7], nil
	}
	msg, ok := q.messages[label(a)]
	if !ok {
		return nil, errors.New("this message was not received yet")
	}
	return msg.MessageID, nil
}
