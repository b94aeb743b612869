package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"sotto/services/smp/internal/client"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// What clients of the log test use that is theirs alone.
const (
	leakPassword = "pa55word-of-the-log-test"
	leakAddress  = "127.77.66.55" // a client's; all of 127.0.0.0/8 is the loopback interface
	leakBody     = "the body of the log test, which is nobody's business"
	leakHost     = "relay-asked-for.example"
	leakSNI      = "sni-of-the-log-test.example"
)

// leaker is a client that notes everything it uses.
type leaker struct {
	*client.Client
	w *relay.Witness
}

// newLeaker connects, from an address that can be recognised.
func newLeaker(t *testing.T, r *relay.Relay, w *relay.Witness, v wire.Version, password string) *leaker {
	t.Helper()
	o := speaking(v)
	o.BasicAuth = smp.BasicAuth(password)
	o.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(leakAddress)}}
		c, err := d.DialContext(ctx, network, address)
		if err == nil {
			_, port, _ := net.SplitHostPort(c.LocalAddr().String())
			w.SawPort(port)
		}
		return c, err
	}
	l := &leaker{dial(t, r, o), w}
	w.Saw("a session id", l.SessionID())
	relayKey := l.Conn().Relay().Key
	w.Saw("a session key", relayKey.Raw())
	return l
}

// do runs a command, noting all that goes with it. What the answer is does not matter.
func (l *leaker) do(ctx context.Context, cmd smp.Command, entity []byte, k auth.Key) smp.Response {
	id := randomID()
	l.w.Saw("a correlation id", id)
	l.w.Saw("an entity id", entity)
	public := k.Public()
	if !public.IsZero() {
		l.w.Saw("a key", public.Raw())
	}
	reply, err := l.Do(ctx, client.Request{Command: cmd, Entity: entity, Key: k, CorrID: id})
	var refusal smp.Error
	if errors.As(err, &refusal) {
		return smp.ERR{Err: refusal}
	}
	return reply.Response
}

// create makes a queue.
func (l *leaker) create(ctx context.Context, t *testing.T, password string) *client.Queue {
	t.Helper()
	k, dh := auth.NewEd25519(), auth.NewX25519()
	l.w.Saw("a DH key", dh.Public().Raw())
	cmd := smp.NEW{
		AuthKey: k.Public(), DHKey: dh.Public(), HasBasicAuth: true, BasicAuth: smp.BasicAuth(password), Subscribe: true,
		Queue: &smp.QueueRequest{Mode: smp.ModeMessaging},
	}
	ids, ok := l.do(ctx, cmd, nil, k).(smp.IDS)
	if !ok {
		t.Fatal("no queue was created")
	}
	q := &client.Queue{
		RecipientID: bytes.Clone(ids.RecipientID), SenderID: bytes.Clone(ids.SenderID), Key: k, Secret: secret(t, ids.DHKey, dh),
	}
	l.w.Saw("a recipient id", q.RecipientID)
	l.w.Saw("a sender id", q.SenderID)
	l.w.Saw("a DH key", ids.DHKey.Raw())
	l.w.Saw("a DH secret", q.Secret[:])
	return q
}

// everyCommand uses a queue in all ways, right and wrong.
func (l *leaker) everyCommand(ctx context.Context, t *testing.T, q *client.Queue) {
	t.Helper()
	sender, stranger := auth.NewEd25519(), auth.NewEd25519()
	entity, creds := smp.Opaque(leakBody), auth.NewX25519().Public()
	relayAsked := smp.Server{Fingerprint: randomID(), Hosts: []smp.Host{leakHost}}
	commands := []struct {
		cmd    smp.Command
		entity []byte
		key    auth.Key
	}{
		{smp.SEND{Body: entity}, q.SenderID, noKey},
		{smp.KEY{SenderKey: sender.Public()}, q.RecipientID, q.Key},
		{smp.KEY{SenderKey: stranger.Public()}, q.RecipientID, q.Key},
		{smp.SKEY{SenderKey: sender.Public()}, q.SenderID, sender},
		{smp.SEND{Notify: true, Body: entity}, q.SenderID, sender},
		{smp.SEND{Body: entity}, q.SenderID, stranger},
		{smp.SEND{Body: make([]byte, 16100)}, q.SenderID, sender},
		{smp.SUB{}, q.RecipientID, q.Key},
		{smp.SUB{}, q.RecipientID, stranger},
		{smp.SUB{}, randomID(), q.Key},
		{smp.ACK{MessageID: randomID()}, q.RecipientID, q.Key},
		{smp.GET{}, q.RecipientID, q.Key},
		{smp.QUE{}, q.RecipientID, q.Key},
		{smp.RKEY{Keys: []key.Public{stranger.Public()}}, q.RecipientID, q.Key},
		{smp.NKEY{NotifierKey: stranger.Public(), DHKey: creds}, q.RecipientID, q.Key},
		{smp.NDEL{}, q.RecipientID, q.Key},
		{smp.NSUB{}, randomID(), stranger},
		{smp.LSET{LinkID: randomID(), FixedData: entity, UserData: entity}, q.RecipientID, q.Key},
		{smp.LKEY{SenderKey: sender.Public()}, randomID(), sender},
		{smp.LGET{}, randomID(), noKey},
		{smp.LDEL{}, q.RecipientID, q.Key},
		{smp.PRXY{Server: relayAsked, HasBasicAuth: true, BasicAuth: smp.BasicAuth(leakPassword)}, nil, noKey},
		{smp.PFWD{Version: 18, Key: creds, Encrypted: make([]byte, 1000)}, randomID(), noKey},
		{smp.RFWD{Encrypted: make([]byte, 1000)}, nil, noKey},
		{smp.PING{}, nil, noKey},
	}
	for _, c := range commands {
		if l.do(ctx, c.cmd, c.entity, c.key) == nil {
			t.Errorf("%s has no answer", c.cmd.Tag())
		}
	}
}

// beNotified listens to the notifiers of a queue, one after the other.
func (l *leaker) beNotified(ctx context.Context, t *testing.T, q *client.Queue) {
	t.Helper()
	notifier, dh := auth.NewEd25519(), auth.NewX25519()
	for range 2 {
		nid, ok := l.do(ctx, smp.NKEY{NotifierKey: notifier.Public(), DHKey: dh.Public()}, q.RecipientID, q.Key).(smp.NID)
		if !ok {
			t.Fatal("no notifier was made")
		}
		l.w.Saw("a notifier id", bytes.Clone(nid.NotifierID))
		l.w.Saw("a DH key", nid.DHKey.Raw())
		shared := secret(t, nid.DHKey, dh)
		l.w.Saw("a DH secret", shared[:])
		if _, ok := l.do(ctx, smp.NSUB{}, bytes.Clone(nid.NotifierID), notifier).(smp.SOK); !ok && l.Version() >= smp.VersionService {
			t.Fatal("not subscribed")
		}
	}
	for range 2 {
		if l.do(ctx, smp.SEND{Notify: true, Body: smp.Opaque(leakBody)}, q.SenderID, noKey) == nil {
			t.Fatal("not sent")
		}
	}
}

// takeMessages acknowledges what is in the queue.
func (l *leaker) takeMessages(ctx context.Context, t *testing.T, q *client.Queue) {
	t.Helper()
	m, err := receiveMessage(ctx, l.Client, q)
	for ; m != nil && err == nil; m, err = l.Acknowledge(ctx, q, m.ID) {
		l.w.Saw("a message id", bytes.Clone(m.ID))
		if string(m.Body) != leakBody {
			t.Error("another body than was sent")
		}
	}
	must(t, "messages", err)
}

// TestLog does everything that clients can do, right and wrong, to a relay that logs all it ever logs. Nothing of a
// client, a queue or a message may be in its output.
func TestLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) { testLog(t, format) })
	}
}

func testLog(t *testing.T, format string) {
	ctx := bounded(t)
	url := newDatabase(t)
	r := newRelay(t, url, "SMP_CREATE_PASSWORD="+leakPassword, "SMP_LOG_FORMAT="+format, "SMP_END_INTERVAL=50ms",
		"SMP_EXPIRY_INTERVAL=100ms", "SMP_MESSAGE_TTL=1h", "SMP_QUEUE_QUOTA=8", "SMP_HANDSHAKE_TIMEOUT=1s")
	start(t, r)
	w := relay.NewWitness()
	for _, text := range []string{leakPassword, leakAddress, leakBody, leakHost, leakSNI, "another password"} {
		w.Saw("a text", []byte(text))
	}
	var queues []*client.Queue
	for _, v := range versions {
		l := newLeaker(t, r, w, v, leakPassword)
		q := l.create(ctx, t, leakPassword)
		l.everyCommand(ctx, t, q)
		l.beNotified(ctx, t, l.create(ctx, t, leakPassword))
		other := newLeaker(t, r, w, v, leakPassword)
		must(t, "SUB", other.Subscribe(ctx, q))
		other.takeMessages(ctx, t, q)
		other.do(ctx, smp.OFF{}, q.RecipientID, q.Key)
		l.do(ctx, smp.DEL{}, q.RecipientID, q.Key)
		l.do(ctx, smp.NEW{
			AuthKey: q.Key.Public(), DHKey: auth.NewX25519().Public(), HasBasicAuth: true,
			BasicAuth: smp.BasicAuth("another password"),
		}, nil, q.Key)
		queues = append(queues, l.create(ctx, t, leakPassword))
	}
	misbehave(t, r)
	troubleWithDatabase(ctx, t, r, w, url, queues)
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	if r.Stderr.Len() == 0 {
		t.Error("the relay logged nothing at all")
	}
	w.Check(t, r)
	t.Logf("the log:\n%s", tail(r.Stderr.String()))
}

// misbehave connects in ways that fail before there is a session.
func misbehave(t *testing.T, r *relay.Relay) {
	t.Helper()
	local := &net.TCPAddr{IP: net.ParseIP(leakAddress)}
	open := func() net.Conn {
		c, err := (&net.Dialer{LocalAddr: local}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", r.Port))
		must(t, "connect", err)
		must(t, "deadline", c.SetDeadline(time.Now().Add(answerTime)))
		return c
	}
	for _, first := range []string{"", "GET /" + leakBody + " HTTP/1.1\r\nHost: " + leakSNI + "\r\n\r\n", "\x16\x03\x01\x00\x05hello"} {
		c := open()
		_, _ = fmt.Fprint(c, first)
		_ = c.Close()
	}
	for _, config := range []*tls.Config{
		{ServerName: leakSNI},
		{ServerName: leakSNI, InsecureSkipVerify: true, NextProtos: []string{"other"}},
		{ServerName: leakSNI, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11},
		{ServerName: leakSNI, InsecureSkipVerify: true},
	} {
		c := tls.Client(open(), config)
		if c.HandshakeContext(t.Context()) == nil {
			_, _ = c.Write(block(0, 4, 0, 5, 1, 7))
		}
		_ = c.Close()
	}
}

// troubleWithDatabase uses the queues while connections to the database are cut off, and when its tables are gone.
func troubleWithDatabase(ctx context.Context, t *testing.T, r *relay.Relay, w *relay.Witness, url string, queues []*client.Queue) {
	t.Helper()
	for _, q := range queues {
		l := newLeaker(t, r, w, smp.MaxVersion, leakPassword)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 {
				l.do(ctx, smp.SEND{Body: []byte(leakBody)}, q.SenderID, noKey)
			}
		}()
		pgtest.Int(t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		<-done
	}
	l := newLeaker(t, r, w, smp.MaxVersion, leakPassword)
	pgtest.Exec(t, url, "ALTER TABLE messages RENAME TO messages_elsewhere; ALTER TABLE queues RENAME TO queues_elsewhere")
	l.everyCommand(ctx, t, queues[0])
}
