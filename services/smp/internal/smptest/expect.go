package smptest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"sotto/shared/box"
	"sotto/shared/smp"
	"sotto/shared/transport"
	"sotto/shared/wire"
)

// receive expects the next block to have exactly these transmissions, in this order.
func (k *talk) receive(sp *speaker, items []item) error {
	block, err := sp.next()
	if err != nil {
		return fmt.Errorf("nothing arrived: %s", transport.Safe(err))
	}
	if len(block) != len(items) {
		return fmt.Errorf("%d transmissions arrived instead of %d: %s", len(block), len(items), k.describe(block))
	}
	for i := range items {
		if err := k.expect(sp, items[i].args, &block[i]); err != nil {
			return fmt.Errorf("%s: %w; arrived: %s", items[i].text, err, k.describe(block[i:i+1]))
		}
	}
	return nil
}

// receiveAll expects as many blocks as there are items, each with one of these events, in any order.
func (k *talk) receiveAll(sp *speaker, items []item) error {
	for len(items) > 0 {
		block, err := sp.next()
		if err != nil {
			return fmt.Errorf("nothing arrived: %s; %s and %d more are missing", transport.Safe(err), items[0].text, len(items)-1)
		}
		n := slices.IndexFunc(items, func(i item) bool {
			return len(block) == 1 && bytes.Equal(block[0].EntityID, k.eventEntity(i.args))
		})
		if n < 0 {
			return fmt.Errorf("something else arrived: %s", k.describe(block))
		}
		if err := k.expect(sp, items[n].args, &block[0]); err != nil {
			return fmt.Errorf("%s: %w; arrived: %s", items[n].text, err, k.describe(block))
		}
		items = slices.Delete(items, n, n+1)
	}
	return nil
}

// expect compares a transmission with a line:
//
//	IDS q                      the new queue's ids, and the mode asked for, as far as the version tells it
//	OK, SOK, PONG              SOK is OK below version 16
//	MSG q "text" [notify]      a pushed message (quota for the marker, size=N as in SEND)
//	MSG q "text" corr=ACK      the answer to ACK or GET
//	LNK q fixed="..." user="..."      the queue's link data, and its sender id
//	SOK service                with the id of the service that the client is
//	SOKS 2, ENDS 2             for this service
//	NID q                      the queue's new notifier
//	NMSG q "text" [old]        the notification of a message, for the queue's notifier, or for the one before
//	END q, DELD q              events; DELD is END below version 10
//	END q.notifier [old]       the same for the queue's notifier
//	ERR CODE                   ERR "BLOCKED reason=spam" where words do not do
//	INFO q {json}              <text> stands for the id of that message, TIME for a time
//	raw "..."                  these bytes
//
// corr=none and entity=... change which ids are expected; n={1..9} only repeats.
func (k *talk) expect(sp *speaker, a args, got *wire.Transmission) error {
	if err := a.only("corr", "entity", "size", "n", "fixed", "user"); err != nil {
		return err
	}
	want, event := asked{}, false
	k.service = sp.conn.ServiceID()
	switch a.word(0) {
	case "END", "DELD", "NMSG", "ENDS":
		event = true
	case "MSG":
		event = a.options["corr"] == ""
	default:
		event = a.options["corr"] == "none"
	}
	switch {
	case event && a.word(0) != "ERR":
		want = asked{entity: k.eventEntity(a)}
	case event:
	default:
		if err := sp.answered(&want); err != nil {
			return err
		}
	}
	if want.queue != nil {
		want.queue.asking = want.notifier
	}
	if tag := a.options["corr"]; tag != "" && !event && tag != want.tag {
		return fmt.Errorf("the oldest command without answer is %s", want.tag)
	}
	if !bytes.Equal(got.CorrID, want.corrID) {
		return errors.New("wrong correlation id")
	}
	if name, ok := a.options["entity"]; ok {
		want.entity = k.entity(name)
	}
	if !bytes.Equal(got.EntityID, want.entity) {
		return errors.New("wrong entity id")
	}
	if len(got.Authorization) > 0 {
		return errors.New("the relay's transmission has an authorization")
	}
	return k.expectResponse(a, got.Command)
}

// answered takes the oldest command without answer.
func (sp *speaker) answered(a *asked) error {
	if len(sp.asked) == 0 {
		return errors.New("nothing was asked")
	}
	*a = sp.asked[0]
	sp.asked = sp.asked[1:]
	return nil
}

func (k *talk) expectResponse(a args, got []byte) error {
	if a.word(0) == "raw" {
		if string(got) != a.texts[0] {
			return errors.New("other bytes")
		}
		return nil
	}
	response, err := smp.ParseResponse(k.version, got)
	if err != nil {
		return err
	}
	switch r := response.(type) {
	case smp.IDS:
		return k.expectIDS(a, r)
	case smp.MSG:
		return k.expectMSG(a, r)
	case smp.INFO:
		return k.expectINFO(a, r)
	case smp.LNK:
		return k.expectLNK(a, r)
	case smp.NID:
		return k.expectNID(a, r)
	case smp.NMSG:
		return k.expectNMSG(a, r)
	}
	want, err := k.simpleResponse(a)
	if err != nil {
		return err
	}
	if !bytes.Equal(want.AppendResponse(nil, k.version), got) {
		return errors.New("another response")
	}
	return nil
}

// simpleResponse is a response that the line determines.
func (k *talk) simpleResponse(a args) (smp.Response, error) {
	switch a.word(0) {
	case "OK":
		return smp.OK{}, nil
	case "SOK":
		return k.expectedSOK(a), nil
	case "SOKS", "ENDS":
		return expectedCount(a)
	case "PONG":
		return smp.PONG{}, nil
	case "END":
		return smp.END{}, nil
	case "DELD":
		return smp.DELD{}, nil
	case "ERR":
		e, err := smp.ParseError([]byte(strings.Join(append(slices.Clone(a.after(1)), a.texts...), " ")))
		return smp.ERR{Err: e}, err
	}
	return nil, errors.New("another response")
}

// expectIDS checks and keeps the ids of a new queue.
//
// Spec: smp.md 9.2
func (k *talk) expectIDS(a args, r smp.IDS) error {
	q := k.queue(a.word(1))
	if a.word(0) != "IDS" {
		return errors.New("another response")
	}
	if len(r.RecipientID) != idSize || len(r.SenderID) != idSize {
		return errors.New("ids have another length")
	}
	if !bytes.Equal(r.ServiceID, k.service) {
		return errors.New("another service, or none")
	}
	if r.Notifier != nil || (q.asking != nil && k.version >= smp.VersionNotifierCreds) {
		if err := q.hasNotifier(r.Notifier); err != nil {
			return err
		}
	}
	switch {
	case k.version < smp.VersionSenderSecure && r.Mode == smp.ModeNone:
	case k.version < smp.VersionShortLinks && q.mode == smp.ModeNone && r.Mode == smp.ModeContact:
	case r.Mode != q.mode:
		return fmt.Errorf("the mode is %q", rune(r.Mode))
	}
	if q.sender != nil { // a link: the sender id is ours, and the link id too in mode contact
		if !bytes.Equal(r.SenderID, q.sender) || len(r.LinkID) != idSize || (q.link != nil && !bytes.Equal(r.LinkID, q.link)) {
			return errors.New("not the ids that were asked for")
		}
	} else if r.LinkID != nil {
		return errors.New("a link was not asked for")
	}
	secret, err := box.DH(r.DHKey, q.dh.ECDH())
	q.recipient, q.sender, q.link = bytes.Clone(r.RecipientID), bytes.Clone(r.SenderID), bytes.Clone(r.LinkID)
	q.secret = secret
	return err
}

// expectMSG opens a message, and keeps its id and ciphertext: sent again, it must be the same.
//
// Spec: smp.md 10.1
func (k *talk) expectMSG(a args, r smp.MSG) error {
	q, name := k.queue(a.word(1)), label(a)
	if a.word(0) != "MSG" {
		return errors.New("another response")
	}
	m, err := q.open(r)
	if err != nil {
		return err
	}
	if m.Quota != a.flag(2, "quota") {
		return fmt.Errorf("quota marker: %v", m.Quota)
	}
	if !m.Quota {
		want, err := k.body(a)
		if err != nil {
			return err
		}
		if !bytes.Equal(m.Body, want) || m.Notify != a.flag(2, "notify") {
			return errors.New("another message")
		}
	}
	if d := time.Since(time.Unix(m.Time, 0)); d < 0 || (!k.bubble && d > time.Hour) {
		return fmt.Errorf("the time is off by %v", d)
	}
	if before, ok := q.messages[name]; ok && !bytes.Equal(before.AppendResponse(nil, k.version), r.AppendResponse(nil, k.version)) {
		return errors.New("not the same message as before")
	}
	if id, ok := q.notified[name]; ok && !bytes.Equal(id, r.MessageID) {
		return errors.New("not the message of the notification")
	}
	q.messages[name] = smp.MSG{MessageID: bytes.Clone(r.MessageID), EncryptedBody: bytes.Clone(r.EncryptedBody)}
	return nil
}

// open decrypts a message.
func (q *queueState) open(r smp.MSG) (smp.Received, error) {
	if len(r.MessageID) != idSize || len(r.EncryptedBody) != smp.EncryptedBodySize {
		return smp.Received{}, errors.New("a message of another size")
	}
	nonce := box.NonceFrom(r.MessageID)
	plain, err := box.OpenPadded(nil, r.EncryptedBody, &nonce, &q.secret)
	if err != nil {
		return smp.Received{}, err
	}
	return smp.ParseReceived(plain)
}

var (
	messageTime  = regexp.MustCompile(`"msgTs":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z)"`)
	messageLabel = regexp.MustCompile(`<([^>]*)>`)
)

// expectINFO compares the JSON byte by byte.
//
// Spec: smp.md 9.9
func (k *talk) expectINFO(a args, r smp.INFO) error {
	q := k.queue(a.word(1))
	if a.word(0) != "INFO" {
		return errors.New("another response")
	}
	want := messageLabel.ReplaceAllStringFunc(a.json, func(s string) string {
		return base64.StdEncoding.EncodeToString(q.messages[s[1:len(s)-1]].MessageID)
	})
	if got := messageTime.ReplaceAllString(string(r.JSON), `"msgTs":"TIME"`); got != want {
		return fmt.Errorf("got %s", got)
	}
	return nil
}

// describe names what arrived, for the person who reads a failed test.
func (k *talk) describe(block []wire.Transmission) string {
	var all []string
	for _, t := range block {
		all = append(all, k.describeOne(t))
	}
	return strings.Join(all, "; ")
}

func (k *talk) describeOne(t wire.Transmission) string {
	name := hex.EncodeToString(t.EntityID)
	for _, q := range k.queues {
		switch {
		case len(t.EntityID) == 0:
		case bytes.Equal(t.EntityID, q.recipient):
			name = q.name
		case bytes.Equal(t.EntityID, q.sender):
			name = q.name + ".sender"
		case q.notifier(false) != nil && bytes.Equal(t.EntityID, q.notifier(false).id):
			name = q.name + ".notifier"
		}
	}
	text := string(t.Command)
	if r, err := smp.ParseResponse(k.version, t.Command); err == nil {
		if msg, ok := r.(smp.MSG); ok {
			text = "MSG"
			if q := k.queues[name]; q != nil {
				if m, err := q.open(msg); err == nil {
					text = fmt.Sprintf("MSG %.40q quota=%v", string(m.Body), m.Quota)
				}
			}
		}
	}
	if len(text) > 200 {
		text = text[:200] + "..."
	}
	return fmt.Sprintf("%q for %s (correlation id of %d bytes)", text, name, len(t.CorrID))
}
