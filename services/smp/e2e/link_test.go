package e2e

import (
	"crypto/rand"
	"errors"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// Link data of the size that apps make.
const (
	fixedSize = 2048
	userSize  = 13824
)

// crash kills the relay, starts it again, and returns a client of the new process.
func crash(t *testing.T, r *relay.Relay) *client.Client {
	t.Helper()
	must(t, "kill", r.Kill())
	start(t, r)
	return dial(t, r, client.Options{})
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// linked makes a queue with link data, as apps do.
func linked(t *testing.T, c *client.Client, mode smp.QueueMode, fixed, user []byte) *client.Queue {
	t.Helper()
	corrID := wire.CorrID(noise(24))
	sender := smp.SenderIDFrom(corrID)
	link := &smp.LinkRequest{SenderID: sender[:], FixedData: fixed, UserData: user}
	if mode == smp.ModeContact {
		link.LinkID = noise(24)
	}
	q, err := c.NewQueue(bounded(t), client.QueueOptions{Mode: mode, Link: link, CorrID: corrID})
	must(t, "create a queue with a link", err)
	return q
}

// wantData checks what a link leads to.
func wantData(t *testing.T, q *client.Queue, l *client.Link, err error, fixed, user []byte) {
	t.Helper()
	must(t, "follow the link", err)
	if string(l.SenderID) != string(q.SenderID) || string(l.FixedData) != string(fixed) || string(l.UserData) != string(user) {
		t.Fatal("the link leads elsewhere")
	}
}

// TestInvitationLink takes the link of an invitation from its making to its end, while the relay is killed after each step.
func TestInvitationLink(t *testing.T) {
	r := startRelay(t)
	ctx, c := bounded(t), dial(t, r, client.Options{})
	fixed, user := noise(fixedSize), noise(userSize)
	q := linked(t, c, smp.ModeMessaging, fixed, noise(userSize))
	c = crash(t, r)
	must(t, "replace the user data", c.SetLink(ctx, q, q.LinkID, fixed, user))
	c = crash(t, r)
	if _, err := c.Link(ctx, q.LinkID); !errors.Is(err, smp.ErrAuth) {
		t.Fatalf("an invitation is shown to everybody: %v", err)
	}
	bob, carol := auth.NewX25519(), auth.NewX25519()
	for range 2 { // the second time as one who has not got the answer
		l, err := c.SecureByLink(ctx, q.LinkID, bob)
		wantData(t, q, l, err, fixed, user)
		c = crash(t, r)
	}
	if _, err := c.SecureByLink(ctx, q.LinkID, carol); !errors.Is(err, smp.ErrAuth) {
		t.Fatalf("it is taken twice: %v", err)
	}
	if err := c.SetLink(ctx, q, q.LinkID, fixed, noise(userSize)); !errors.Is(err, smp.ErrAuth) {
		t.Fatalf("changed after it was taken: %v", err)
	}
	must(t, "send", c.Send(ctx, q.SenderID, bob, false, []byte("hello")))
	for range 2 {
		if _, err := c.SecureByLink(ctx, q.LinkID, bob); !errors.Is(err, smp.ErrAuth) {
			t.Fatalf("the link outlives the first message: %v", err)
		}
		c = crash(t, r)
	}
	m, err := c.Get(ctx, q)
	must(t, "get", err)
	if m == nil || string(m.Body) != "hello" {
		t.Fatal("the message is lost")
	}
}

// TestContactLink does the same with a contact address.
func TestContactLink(t *testing.T) {
	r := startRelay(t)
	ctx, c := bounded(t), dial(t, r, client.Options{})
	fixed, user := noise(fixedSize), noise(userSize)
	q, other := linked(t, c, smp.ModeContact, fixed, user), linked(t, c, smp.ModeContact, fixed, user)
	c = crash(t, r)
	for range 3 {
		l, err := c.Link(ctx, q.LinkID)
		wantData(t, q, l, err, fixed, user)
		user = noise(userSize)
		must(t, "replace the user data", c.SetLink(ctx, q, q.LinkID, fixed, user))
		c = crash(t, r)
		must(t, "send", c.Send(ctx, q.SenderID, noKey, false, []byte("hello")))
	}
	must(t, "delete another link", c.DeleteLink(ctx, other))
	for range 2 {
		if err := c.SetLink(ctx, other, q.LinkID, fixed, user); !errors.Is(err, smp.ErrAuth) {
			t.Fatalf("two queues with one link: %v", err)
		}
		c = crash(t, r)
	}
	must(t, "delete the link", c.DeleteLink(ctx, q))
	c = crash(t, r)
	if _, err := c.Link(ctx, q.LinkID); !errors.Is(err, smp.ErrAuth) {
		t.Fatalf("a link that was deleted: %v", err)
	}
	must(t, "use the free id", c.SetLink(ctx, other, q.LinkID, fixed, user))
	c = crash(t, r)
	l, err := c.Link(ctx, q.LinkID)
	wantData(t, other, l, err, fixed, user)
}
