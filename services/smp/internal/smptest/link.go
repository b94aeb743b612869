package smptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/shared/smp"
)

// setLink is LSET. The first makes up the queue's link id, as its owner does.
//
// Spec: smp.md 9.12
func (k *talk) setLink(a args, q *queueState) smp.LSET {
	if q.link == nil {
		q.link = randomID()
	}
	id := q.link
	switch name := a.options["link"]; name {
	case "":
	case "wrong":
		id = randomID()
	case "short":
		id = id[:7]
	default:
		id = k.queue(name).link
	}
	return smp.LSET{LinkID: id, FixedData: []byte(a.options["fixed"]), UserData: []byte(a.options["user"])}
}

// expectLNK compares link data.
//
// Spec: smp.md 9.12
func (k *talk) expectLNK(a args, r smp.LNK) error {
	switch q := k.queue(a.word(1)); {
	case a.word(0) != "LNK":
		return errors.New("another response")
	case !bytes.Equal(r.SenderID, q.sender):
		return errors.New("another sender id")
	case string(r.FixedData) != a.options["fixed"] || string(r.UserData) != a.options["user"]:
		return fmt.Errorf("link data %q and %q", r.FixedData, r.UserData)
	}
	return nil
}

// moderate does what an operator asks for, by the queue's sender id.
//
// Spec: smp.md 12.1
func (k *talk) moderate(a args) error {
	id, ctx := k.queue(a.word(1)).sender, context.Background()
	if err := a.only("reason", "notice"); err != nil {
		return err
	}
	switch a.word(0) {
	case "unblocks":
		return k.relay.Server.Unblock(ctx, server.AnyID, id)
	case "deletes":
		return k.relay.Server.DeleteQueue(ctx, server.AnyID, id)
	}
	b := queue.Blocking{Reason: a.options["reason"]}
	if notice, ok := a.options["notice"]; ok {
		b.HasNotice = true
		if notice != "forever" {
			ttl, err := a.number("notice", 0)
			if err != nil {
				return err
			}
			b.NoticeTTL = int64(ttl)
		}
	}
	return k.relay.Server.Block(ctx, server.AnyID, id, b)
}
