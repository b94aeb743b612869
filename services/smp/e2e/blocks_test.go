package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// answer reads a block that must hold exactly one transmission.
func answer(t *testing.T, c *client.Conn) (wire.Transmission, smp.Response) {
	t.Helper()
	all := answers(t, c)
	if len(all) != 1 {
		t.Fatalf("%d transmissions instead of one", len(all))
	}
	response, err := smp.ParseResponse(c.Version(), all[0].Command)
	must(t, "the response", err)
	return all[0], response
}

func answers(t *testing.T, c *client.Conn) []wire.Transmission {
	t.Helper()
	must(t, "deadline", c.SetDeadline(time.Now().Add(answerTime)))
	all, err := c.Receive()
	must(t, "receive", err)
	return all
}

// request sends one command and returns the answer to it.
func request(t *testing.T, c *client.Conn, r client.Request) smp.Response {
	t.Helper()
	must(t, "send", c.Send(&r))
	for {
		for _, tr := range answers(t, c) {
			if bytes.Equal(tr.CorrID, r.CorrID) {
				response, err := smp.ParseResponse(c.Version(), tr.Command)
				must(t, "the response", err)
				return response
			}
		}
	}
}

// expectRefusal fails the test unless the relay answered with this error.
func expectRefusal(t *testing.T, what string, got smp.Response, want smp.Error) {
	t.Helper()
	if e, ok := got.(smp.ERR); !ok || e.Err != want {
		t.Errorf("%s: the relay answered %v, not ERR %v", what, render(got), want)
	}
}

// render shows what kind of response it is.
func render(r smp.Response) string {
	if e, ok := r.(smp.ERR); ok {
		return "ERR " + e.Err.Error()
	}
	return r.Tag()
}

func expectPong(t *testing.T, c *client.Conn) {
	t.Helper()
	if r := request(t, c, client.Request{Command: smp.PING{}}); r.Tag() != "PONG" {
		t.Fatalf("PING is answered with %s", render(r))
	}
}

// block makes a block of 16384 bytes that begins with these, and ends with others.
func block(begin ...byte) []byte {
	b := bytes.Repeat([]byte{'#'}, wire.BlockSize)
	copy(b, begin)
	return b
}

// TestMalformedBlocks expects one ERR BLOCK for each, and that the connection goes on.
//
// Spec: smp.md 5.1
func TestMalformedBlocks(t *testing.T) {
	r := startRelay(t)
	garbage := make([]byte, wire.BlockSize)
	_, _ = rand.Read(garbage)
	garbage[0] = 0xff // a length that does not fit
	cases := []struct {
		name  string
		block []byte
	}{
		{"a length beyond the block", block(0xff, 0xff)},
		{"a length just beyond the block", block(0x3f, 0xff)},
		{"garbage", garbage},
		{"empty", block(0, 0)},
		{"a count of nothing", block(0, 1, 0)},
		{"one transmission promised, none there", block(0, 1, 1)},
		{"a transmission longer than the payload", block(0, 4, 1, 0, 200, 0)},
		{"two promised, one there", block(0, 4, 2, 0, 1, 0)},
		{"bytes after the last", block(0, 5, 1, 0, 1, 0, 0)},
	}
	for _, v := range versions {
		options := speaking(v)
		options.NoKey = true // not encrypted, so that what is sent is what is unpadded
		c := dialConn(t, r, options)
		for _, one := range cases {
			t.Run(fmt.Sprintf("version %d, %s", v, one.name), func(t *testing.T) {
				must(t, "write", c.WriteRaw(one.block))
				tr, response := answer(t, c)
				expectRefusal(t, "block", response, smp.ErrBlock)
				if len(tr.CorrID) != 0 || len(tr.EntityID) != 0 {
					t.Error("the answer has ids")
				}
				expectPong(t, c)
			})
		}
	}
}

// TestBlockThatDoesNotDecrypt expects the answer of a malformed one.
//
// Spec: smp.md 5.1
func TestBlockThatDoesNotDecrypt(t *testing.T) {
	r := startRelay(t)
	c := dialConn(t, r, speaking(smp.MaxVersion))
	for range 3 {
		must(t, "write", c.WriteRaw(block()))
		_, response := answer(t, c)
		expectRefusal(t, "block", response, smp.ErrBlock)
	}
	expectPong(t, dialConn(t, r, client.Options{}))
}

// TestCutOffInABlock closes connections in the middle of blocks.
func TestCutOffInABlock(t *testing.T) {
	r := startRelay(t)
	for _, n := range []int{1, 2, 100, wire.BlockSize - 1} {
		c := dialConn(t, r, client.Options{})
		must(t, "write", c.WriteRaw(block()[:n]))
		must(t, "close", c.Session().CloseWrite())
		if _, err := c.Receive(); err == nil {
			t.Errorf("an answer to %d bytes", n)
		} else if err != io.EOF {
			t.Logf("after %d bytes: %v", n, err)
		}
	}
	expectPong(t, dialConn(t, r, client.Options{}))
}

// TestRandomTransmissions sends blocks whose framing is right and whose transmissions are changed ones of valid
// commands. Each must be answered, in whatever way, and nothing may break.
func TestRandomTransmissions(t *testing.T) {
	r := startRelay(t)
	for _, v := range versions {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) {
			options := speaking(v)
			c := dialConn(t, r, options)
			q, err := dial(t, r, options).NewQueue(bounded(t), client.QueueOptions{Mode: smp.ModeMessaging})
			must(t, "NEW", err)
			rnd := mathrand.New(mathrand.NewPCG(1, uint64(v)))
			const blocks, each = 60, 20
			for range blocks {
				sendChanged(t, c, q, rnd, each)
			}
			expectPong(t, c)
			t.Logf("%d transmissions", blocks*each)
		})
	}
}

// sendChanged sends a block of n changed transmissions and takes the answers.
func sendChanged(t *testing.T, c *client.Conn, q *client.Queue, rnd *mathrand.Rand, n int) {
	t.Helper()
	commands := []smp.Command{
		smp.NEW{AuthKey: q.Key.Public(), DHKey: auth.NewX25519().Public(), Queue: &smp.QueueRequest{Mode: smp.ModeContact}},
		smp.SUB{},
		smp.GET{},
		smp.ACK{MessageID: make([]byte, 24)},
		smp.KEY{SenderKey: q.Key.Public()},
		smp.QUE{},
		smp.SEND{Body: []byte("body")},
		smp.PING{},
		smp.SKEY{SenderKey: q.Key.Public()},
		smp.LGET{},
		smp.NSUB{},
		smp.OFF{},
	}
	var p wire.Packer
	for range n {
		cmd := commands[rnd.IntN(len(commands))]
		signed := wire.AppendSigned(nil, randomID(), q.RecipientID, cmd.AppendCommand(nil, c.Version()))
		authorization, err := q.Key.Authorize(c.Relay().Key, nil, wire.AppendAuthorized(nil, c.SessionID(), signed))
		must(t, "authorize", err)
		tr := wire.AppendTransmission(nil, c.Version(), false, authorization, nil, c.SessionID(), signed)
		for range rnd.IntN(4) {
			tr[rnd.IntN(len(tr))] = byte(rnd.Uint32())
		}
		p.Add(tr[:len(tr)-rnd.IntN(2)*rnd.IntN(len(tr))])
	}
	must(t, "write", c.WriteBlock(p.Payload()))
	for left := n; left > 0; { // a command that is still valid may also be followed by an event
		left -= len(answers(t, c))
	}
}

func randomID() []byte {
	id := make([]byte, 24)
	_, _ = rand.Read(id)
	return id
}

// TestReplay sends the same bytes again: on their own connection they count again, on another one they are worth
// nothing, because the session id is part of what is signed.
//
// Spec: smp.md 6.2
func TestReplay(t *testing.T) {
	r := startRelay(t)
	for _, v := range versions {
		t.Run(fmt.Sprintf("version %d", v), func(t *testing.T) {
			ctx := bounded(t)
			q, err := dial(t, r, speaking(v)).NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging})
			must(t, "NEW", err)
			first, second := dialConn(t, r, speaking(v)), dialConn(t, r, speaking(v))
			replayed := client.Request{Command: smp.QUE{}, Entity: q.RecipientID, Key: q.Key, CorrID: randomID()}
			for range 2 {
				if got := request(t, first, replayed); got.Tag() != "INFO" {
					t.Errorf("QUE is answered with %s", render(got))
				}
			}
			must(t, "two with one correlation id", first.Send(&replayed, &replayed))
			if got := len(answers(t, first)); got != 2 {
				t.Errorf("%d answers to two commands with one correlation id", got)
			}
			signed := wire.AppendSigned(nil, replayed.CorrID, q.RecipientID, smp.QUE{}.AppendCommand(nil, v))
			replayed.Authorization, err = q.Key.Authorize(first.Relay().Key, replayed.CorrID,
				wire.AppendAuthorized(nil, first.SessionID(), signed))
			must(t, "authorize", err)
			expectRefusal(t, "another connection", request(t, second, replayed), smp.ErrAuth)
		})
	}
}

// TestBodyLimits sends the longest body of each version, and one byte more.
//
// Spec: smp.md 9.10
func TestBodyLimits(t *testing.T) {
	r := startRelay(t)
	for _, v := range versions {
		c := dial(t, r, speaking(v))
		ctx := bounded(t)
		q, err := c.NewQueue(ctx, client.QueueOptions{Subscribe: true})
		must(t, "NEW", err)
		body := make([]byte, smp.MaxBody(v)+1)
		if err := c.Send(ctx, q.SenderID, noKey, false, body); err != smp.ErrLargeMsg {
			t.Errorf("version %d, one byte too many: %v", v, err)
		}
		must(t, "SEND", c.Send(ctx, q.SenderID, noKey, false, body[:len(body)-1]))
		m, err := receiveMessage(ctx, c, q)
		must(t, "MSG", err)
		if len(m.Body) != len(body)-1 {
			t.Errorf("version %d: %d bytes became %d", v, len(body)-1, len(m.Body))
		}
	}
}
