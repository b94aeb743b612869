package server_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/shared/auth"
	"sotto/shared/smp"
)

// answered is how often a command with this tag has ended so.
func answered(n server.Snapshot, tag string, outcome server.Outcome) uint64 {
	return n.Commands[slices.Index(server.Tags[:], tag)][outcome]
}

// countersRelay starts a relay with queues of one message, and a client of it.
func countersRelay(t *testing.T) (*smptest.Relay, func() *client.Client, context.Context) {
	t.Helper()
	r := smptest.Start(t, smptest.Options{
		Quota: 1, Config: func(c *server.Config) { c.EndInterval = time.Millisecond },
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return r, func() *client.Client { return client.New(r.Dial(t, smptest.At(smp.MaxVersion))) }, ctx
}

// expectRefused fails the test unless err is this refusal.
func expectRefused(t *testing.T, err error, want smp.Error) {
	t.Helper()
	var refusal smp.Error
	if !errors.As(err, &refusal) || refusal != want {
		t.Fatalf("got %v, want %v", err, want)
	}
}

// nextEvent waits for what the relay sends without being asked.
func nextEvent(ctx context.Context, t *testing.T, c *client.Client) smp.Response {
	t.Helper()
	select {
	case e := <-c.Events():
		return e.Response
	case <-ctx.Done():
		t.Fatal("no event came")
		return nil
	}
}

func TestCountersFollowAMessage(t *testing.T) {
	r, connect, ctx := countersRelay(t)
	alice, bob := connect(), connect()
	q, err := alice.NewQueue(ctx, client.QueueOptions{Subscribe: true})
	if err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 100)
	if err := bob.Send(ctx, q.SenderID, auth.Key{}, true, body); err != nil {
		t.Fatal(err)
	}
	message, ok := nextEvent(ctx, t, alice).(smp.MSG)
	if !ok {
		t.Fatal("another event than the message")
	}
	for range 2 { // the quota marker takes the place that is left
		expectRefused(t, bob.Send(ctx, q.SenderID, auth.Key{}, true, body), smp.ErrQuota)
	}
	if _, err := alice.Acknowledge(ctx, q, message.MessageID); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, bob.Send(ctx, q.RecipientID, auth.Key{}, true, body), smp.ErrAuth)
	n := r.Server.Snapshot()
	for name, c := range map[string][2]uint64{
		"queues created": {n.QueuesCreated, 1},
		"subscribed":     {n.Subscribed, 1},
		"received":       {n.MessagesReceived, 1},
		"bytes":          {n.BytesReceived, 100},
		"delivered":      {n.MessagesDelivered, 2}, // and the marker, with the acknowledgement
		"acknowledged":   {n.MessagesAcknowledged, 1},
		"full":           {n.QueueFull, 2},
		"accepted":       {n.Accepted, 2},
		"TLS":            {n.TLSDone, 2},
		"NEW":            {answered(n, "NEW", server.OutcomeOK), 1},
		"SEND":           {answered(n, "SEND", server.OutcomeOK), 1},
		"SEND quota":     {answered(n, "SEND", server.OutcomeQuota), 2},
		"SEND auth":      {answered(n, "SEND", server.OutcomeAuth), 1},
		"ACK":            {answered(n, "ACK", server.OutcomeOK), 1},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: counted %d, want %d", name, c[0], c[1])
		}
	}
	if n.Connections != 2 || n.Subscriptions != 1 {
		t.Errorf("%d connections and %d subscriptions, want 2 and 1", n.Connections, n.Subscriptions)
	}
}

func TestCountersOfQueuesAndTheirEnd(t *testing.T) {
	r, connect, ctx := countersRelay(t)
	alice, other := connect(), connect()
	q, err := alice.NewQueue(ctx, client.QueueOptions{Subscribe: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.Secure(ctx, q, auth.NewEd25519().Public()); err != nil {
		t.Fatal(err)
	}
	if err := other.Subscribe(ctx, q); err != nil {
		t.Fatal(err)
	}
	nextEvent(ctx, t, alice) // END
	if err := alice.Delete(ctx, q); err != nil {
		t.Fatal(err)
	}
	nextEvent(ctx, t, other) // DELD
	n := r.Server.Snapshot()
	for name, c := range map[string][2]uint64{
		"secured": {n.QueuesSecured, 1},
		"deleted": {n.QueuesDeleted, 1},
		"END":     {n.EndsSent, 1},
		"DELD":    {n.DeldSent, 1},
		"KEY":     {answered(n, "KEY", server.OutcomeOK), 1},
		"DEL":     {answered(n, "DEL", server.OutcomeOK), 1},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: counted %d, want %d", name, c[0], c[1])
		}
	}
}

func TestCountersOfHandshakesThatFail(t *testing.T) {
	r, _, ctx := countersRelay(t)
	raw := r.Raw(t)
	if _, err := raw.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	_, _ = raw.Read(make([]byte, 100)) // an alert, or the end
	for range time.Tick(time.Millisecond) {
		if r.Server.Snapshot().TLSFailed == 1 {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("not counted")
		}
	}
}

// TestCountingAllocatesNothing keeps it out of the way of messages.
func TestCountingAllocatesNothing(t *testing.T) {
	var counters server.Counters
	if n := testing.AllocsPerRun(100, func() { counters.Command(smp.SUB{}, smp.ErrAuth) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCommandCounter(b *testing.B) {
	var counters server.Counters
	var cmd smp.Command = smp.SUB{}
	b.ReportAllocs()
	for b.Loop() {
		counters.Command(cmd, nil)
	}
}

func TestCountersKnowEveryCommand(t *testing.T) {
	var counters server.Counters
	for _, cmd := range []smp.Command{
		smp.NEW{},
		smp.SUB{},
		smp.SUBS{},
		smp.KEY{},
		smp.SKEY{},
		smp.RKEY{},
		smp.ACK{},
		smp.GET{},
		smp.OFF{},
		smp.DEL{},
		smp.QUE{},
		smp.SEND{},
		smp.LSET{},
		smp.LDEL{},
		smp.LKEY{},
		smp.LGET{},
		smp.NKEY{},
		smp.NDEL{},
		smp.NSUB{},
		smp.NSUBS{},
		smp.PING{},
		smp.PRXY{},
		smp.PFWD{},
		smp.RFWD{},
	} {
		counters.Command(cmd, nil)
		place := slices.Index(server.Tags[:], cmd.Tag())
		if place < 0 || counters.Commands[place][server.OutcomeOK].Load() != 1 {
			t.Errorf("%s is not counted under its name", cmd.Tag())
		}
	}
	counters.Command(nil, smp.CmdUnknown)
	if last := counters.Commands[len(server.Tags)-1][server.OutcomeError].Load(); last != 1 {
		t.Errorf("what is no command was counted %d times", last)
	}
}
