package e2e

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/proxy/proxytest"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/smp"
)

// heldByOlder is a queue on a relay with Ed448 keys.
type heldByOlder struct {
	sender   key.Public
	messages chan string
}

// answer does what a relay does with the commands of senders.
func (q *heldByOlder) answer(f proxytest.Forwarded) smp.Response {
	switch cmd := f.Command.(type) {
	case smp.SKEY:
		if !f.SignedBy(cmd.SenderKey) || (!q.sender.IsZero() && q.sender != cmd.SenderKey) {
			break
		}
		q.sender = cmd.SenderKey
		return smp.OK{}
	case smp.SEND:
		if q.sender.IsZero() || !f.SignedBy(q.sender) {
			break
		}
		q.messages <- string(cmd.Body)
		return smp.OK{}
	}
	return smp.ERR{Err: smp.ErrAuth}
}

// TestEd448Conversation: two people talk, each through a proxy; one has a queue on a relay like these, the other on one
// with Ed448 keys and the TLS of openssl.
func TestEd448Conversation(t *testing.T) {
	ctx := bounded(t)
	through, to := startProxy(t), startRelay(t)
	older := proxytest.Start(t)
	theirs := &heldByOlder{messages: make(chan string, 100)}
	served := make(chan error, 1)
	go func() { served <- older.Serve(theirs.answer) }()

	ours := newRouted(ctx, t, through, to, smp.MaxVersion)
	there := dial(t, through, client.Options{})
	var route *client.Route
	eventually(t, time.Minute, "a session", func() bool { // openssl takes its time to listen
		var err error
		route, err = there.Route(ctx, older.Server())
		return err == nil
	})
	queue, k, other := randomID(), auth.NewEd448(), auth.NewEd25519()
	must(t, "SKEY", route.SecureBySender(ctx, queue, k))
	refusedWith(t, smp.ErrAuth, route.SecureBySender(ctx, queue, other))
	refusedWith(t, smp.ErrAuth, route.Send(ctx, queue, other, false, []byte("is it you?")))
	for i := range 20 {
		question, reply := fmt.Sprint("question ", i), fmt.Sprint("reply ", i)
		must(t, "SEND", route.Send(ctx, queue, k, false, []byte(question)))
		if got := <-theirs.messages; got != question {
			t.Fatalf("%q arrived instead of %q", got, question)
		}
		ours.delivers(noKey, []byte(reply))
	}
	largest := bytes.Repeat([]byte{'x'}, smp.MaxBody(smp.MaxProxiedVersion))
	ours.delivers(noKey, largest)
	must(t, "SEND", route.Send(ctx, queue, k, false, largest))
	<-theirs.messages
	_, err := through.Stop(time.Minute)
	must(t, "stop", err)
	if err := <-served; err != nil {
		t.Fatal(err)
	}
}
