package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

func TestResponsesThatDoNotFit(t *testing.T) {
	answers := make(chan says, 1)
	f := (&fake{script: func(p *peer) {
		for all := p.receive(); all != nil; all = p.receive() {
			s := <-answers
			s.corrID = all[0].CorrID
			p.send(s)
		}
	}}).start(t)
	c := f.dial(t, Options{})
	ctx := testContext(t)
	q := &Queue{RecipientID: entity(1), Key: auth.NewEd25519()}
	cases := []struct {
		name   string
		answer says
		tag    string
		err    error // an smp.Error, or nil for a ResponseError
	}{
		{"refused", says{entity: entity(1), response: smp.ERR{Err: smp.ErrAuth}}, "", smp.ErrAuth},
		{"refused without entity", says{response: smp.ERR{Err: smp.ErrBlock}}, "", smp.ErrBlock},
		{"refused in two words", says{entity: entity(1), response: smp.ERR{Err: smp.CmdProhibited}}, "", smp.CmdProhibited},
		{"other entity", says{entity: entity(2), response: smp.OK{}}, "", nil},
		{"other entity refused", says{entity: entity(2), response: smp.ERR{Err: smp.ErrAuth}}, "", nil},
		{"no entity", says{response: smp.OK{}}, "", nil},
		{"another kind", says{entity: entity(1), response: smp.PONG{}}, "PONG", nil},
		{"unknown tag", says{entity: entity(1), text: "WHAT"}, "", nil},
		{"unknown error", says{entity: entity(1), text: "ERR WHAT"}, "", nil},
		{"empty", says{entity: entity(1)}, "", nil},
		{"parameter too many", says{entity: entity(1), text: "OK "}, "", nil},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			answers <- tc.answer
			checkRefused(t, c.Delete(ctx, q), tc.err, tc.tag)
			if c.Err() != nil {
				t.Error("the connection ended")
			}
		})
	}
}

// checkRefused checks that err is this error of the protocol, or, if that is nil, a ResponseError with this tag.
func checkRefused(t *testing.T, err, want error, tag string) {
	t.Helper()
	var response *ResponseError
	var refusal smp.Error
	var lost *ConnError
	switch {
	case errors.As(err, &lost):
		t.Errorf("got %v", err)
	case want != nil:
		if !errors.As(err, &refusal) || !errors.Is(err, want) {
			t.Errorf("got %v", err)
		}
	case !errors.As(err, &response) || errors.As(err, &refusal) || response.Tag != tag:
		t.Errorf("got %v", err)
	}
}

func TestCorrIDs(t *testing.T) {
	f := (&fake{script: func(p *peer) {
		for p.receive() != nil {
		}
	}}).start(t)
	c := f.dial(t, Options{})
	ctx := testContext(t)
	id := newCorrID()
	for _, bad := range []wire.CorrID{{}, id[:23], append(id[:], 0)} {
		if _, err := c.Start(ctx, Request{Command: smp.PING{}, CorrID: bad}); !errors.Is(err, ErrCorrID) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
	k, err := c.Start(ctx, Request{Command: smp.PING{}, CorrID: id[:]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Start(ctx, Request{Command: smp.PING{}, CorrID: id[:]}); !errors.Is(err, ErrCorrID) {
		t.Errorf("id in use: %v", err)
	}
	if _, err := c.StartBlock(ctx, []Request{que(1), {Command: smp.PING{}, CorrID: id[:]}}); !errors.Is(err, ErrCorrID) {
		t.Errorf("id in use, in a block: %v", err)
	}
	if len(c.pending) != 1 {
		t.Errorf("%d calls are pending", len(c.pending))
	}
	_ = c.Close()
	_, err = k.Wait(ctx)
	checkLost(t, err, ErrClosed)
}

func TestRequestsThatAreHostile(t *testing.T) {
	got := make(chan wire.Transmission, 1)
	f := (&fake{script: func(p *peer) {
		for all := p.receive(); all != nil; all = p.receive() {
			got <- all[0]
			p.send(answerTo(all[0], smp.ERR{Err: smp.CmdUnknown}))
		}
	}}).start(t)
	c := f.dial(t, Options{})
	r := Request{
		Encoded: []byte("SUB="), Entity: entity(1),
		Authorization: bytes.Repeat([]byte{7}, 64), ServiceSignature: bytes.Repeat([]byte{8}, 64),
	}
	if _, err := c.Do(testContext(t), r); !errors.Is(err, smp.CmdUnknown) {
		t.Error(err)
	}
	tr := <-got
	if string(tr.Command) != "SUB=" || tr.Authorization[0] != 7 || tr.ServiceSignature[0] != 8 {
		t.Error("the request was changed")
	}
}

func TestRawConn(t *testing.T) {
	f := (&fake{script: func(p *peer) {
		all := p.receive()
		if len(all) != 2 || len(all[0].CorrID) != 0 || len(all[1].CorrID) != corrIDSize {
			p.t.Errorf("got %d transmissions", len(all))
		}
		p.send(answerTo(all[0], smp.PONG{}), answerTo(all[1], smp.PONG{}))
		raw := make([]byte, 100)
		if _, err := io.ReadFull(p.session.Conn, raw); err != nil || raw[99] != 9 {
			p.t.Error("raw bytes:", err)
		}
		_, _ = p.session.Conn.Write(raw)
	}}).start(t)
	c, err := DialConn(testContext(t), f.server(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	empty, random := &Request{Command: smp.PING{}, CorrID: wire.CorrID{}}, &Request{Command: smp.PING{}}
	if err := c.Send(empty, random); err != nil {
		t.Fatal(err)
	}
	all, err := c.Receive()
	if err != nil || len(all) != 2 || !bytes.Equal(all[1].CorrID, random.CorrID) || string(all[0].Command) != "PONG" {
		t.Fatalf("received %d: %v", len(all), err)
	}
	raw := bytes.Repeat([]byte{9}, 100)
	if err := c.WriteRaw(raw); err != nil {
		t.Fatal(err)
	}
	if err := c.ReadRaw(raw); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("after the end: %v", err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
}

func TestPrintsNothing(t *testing.T) {
	f := (&fake{script: ok}).start(t)
	c := f.dial(t, Options{})
	q := &Queue{RecipientID: entity(1), Key: auth.NewEd25519()}
	secret := []byte("secret")
	m := &Message{ID: secret, plain: secret, Received: smp.Received{Body: secret}}
	event := Event{EntityID: secret, CorrID: secret, Response: smp.MSG{MessageID: secret, EncryptedBody: secret}}
	values := []any{
		c, c.Conn(), c.Conn().Relay(), q, *q, m, event,
		Reply{Response: smp.IDS{RecipientID: secret, SenderID: secret}},
		Request{Entity: secret, CorrID: secret, Encoded: secret, Authorization: secret},
	}
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%s", "%x", "%q", "%d"} {
			s := fmt.Sprintf(verb, v)
			for _, form := range []string{"secret", "736563726574", "115 101 99 114 101 116"} {
				if strings.Contains(s, form) || len(s) > 300 {
					t.Errorf("%T prints itself with %s as %s", v, verb, s)
				}
			}
		}
	}
}
