package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/client"
	"sotto/shared/address"
	"sotto/shared/auth"
	"sotto/shared/key"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// What clients of the log test use that is theirs alone.
const (
	leakPassword = "pa55word-of-the-log-test"
	leakAddress  = "127.77.66.55" // a client's; all of 127.0.0.0/8 is the loopback interface
	leakSNI      = "sni-of-the-log-test.example"
	leakPath     = "path-of-the-log-test"
)

// leaker is a client that notes everything it uses.
type leaker struct {
	*client.Client
	w *relay.Witness
}

// newLeaker connects, from an address that can be recognised.
func newLeaker(t *testing.T, r *relay.Relay, w *relay.Witness, v wire.Version, password string) *leaker {
	t.Helper()
	l := &leaker{dial(t, r, client.Options{
		Versions: wire.VersionRange{Min: v, Max: v}, Password: address.Password(password),
		Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(leakAddress)}}
			c, err := d.DialContext(ctx, network, address)
			if err == nil {
				_, port, _ := net.SplitHostPort(c.LocalAddr().String())
				w.SawPort(port)
			}
			return c, err
		},
	}), w}
	w.Saw("a session id", l.Relay().SessionID)
	w.Saw("a session key", l.Relay().Key.Raw())
	return l
}

// saw notes what a chunk is made of.
func (l *leaker) saw(u *uploaded) {
	l.w.Saw("a body", u.body[:32])
	l.w.Saw("a digest", u.digest[:])
	l.w.Saw("a key", u.sender.Public().Raw())
	l.w.Saw("a key", u.recipient.Public().Raw())
	l.w.Saw("a sender id", u.senderID)
	l.w.Saw("a recipient id", u.recipientID)
}

// everything uses a chunk in all ways, right and wrong. The last of them delete it.
func (l *leaker) everything(ctx context.Context, t *testing.T, r *relay.Relay, v wire.Version) {
	t.Helper()
	u := newChunk(64 << 10)
	must(t, "register", u.register(ctx, l.Client))
	l.saw(u)
	other := func() *leaker { return newLeaker(t, r, l.w, v, leakPassword) }
	stranger, nobody := auth.NewEd25519(), make([]byte, xftp.IDSize)
	_, _ = rand.Read(nobody) // never fails
	l.w.Saw("an unknown id", nobody)
	l.w.Saw("a stranger's key", stranger.Public().Raw())
	refused := func(what string, err error) {
		t.Helper()
		var refusal xftp.Error
		if !errors.As(err, &refusal) {
			t.Errorf("%s gives %v, want a refusal", what, err)
		}
	}
	refused("download before upload", u.download(ctx, l.Client))
	refused("wrong digest", other().Upload(ctx, u.senderID, u.sender, bytes.NewReader(make([]byte, 64<<10)), 64<<10))
	refused("short body", other().Upload(ctx, u.senderID, u.sender, bytes.NewReader(u.body), 1000))
	refused("long body", other().Upload(ctx, u.senderID, u.sender, bytes.NewReader(append(u.body[:len(u.body):len(u.body)], 1)), 64<<10+1))
	refused("foreign upload", other().Upload(ctx, u.senderID, stranger, bytes.NewReader(u.body), 64<<10))
	_, err := l.AddRecipients(ctx, u.senderID, u.sender, []key.Public{stranger.Public()})
	must(t, "add recipients", err)
	must(t, "upload", u.upload(ctx, l.Client))
	must(t, "upload again", u.upload(ctx, l.Client))
	must(t, "download", u.download(ctx, l.Client))
	refused("unknown recipient", l.Download(ctx, nobody, stranger, 64<<10, nil, new(bytes.Buffer)))
	l = other()
	refused("wrong party", l.Delete(ctx, u.recipientID, u.recipient))
	must(t, "acknowledge", l.Acknowledge(ctx, u.recipientID, u.recipient))
	refused("acknowledge again", l.Acknowledge(ctx, u.recipientID, u.recipient))
	must(t, "delete", l.Delete(ctx, u.senderID, u.sender))
	refused("delete again", l.Delete(ctx, u.senderID, u.sender))
}

// TestLog does everything that clients can do, right and wrong, to a relay that logs all it ever logs. Nothing of a client
// or a chunk may be in its output.
func TestLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) { testLog(t, format) })
	}
}

func testLog(t *testing.T, format string) {
	ctx := bounded(t)
	url := newDatabase(t)
	r := newRelay(t, url, "XFTP_CREATE_PASSWORD="+leakPassword, "XFTP_LOG_FORMAT="+format, "XFTP_EXPIRY_INTERVAL=100ms",
		"XFTP_STORAGE_QUOTA=5mb", "XFTP_HANDSHAKE_TIMEOUT=1s", "XFTP_STORE_TIMEOUT=1s")
	start(t, r)
	w := relay.NewWitness()
	for _, text := range []string{leakPassword, leakAddress, leakSNI, leakPath, "another-password"} {
		w.Saw("a text", []byte(text))
	}
	for v := xftp.Versions.Min; v <= xftp.Versions.Max; v++ {
		newLeaker(t, r, w, v, leakPassword).everything(ctx, t, r, v)
		if err := newChunk(64<<10).register(ctx, newLeaker(t, r, w, v, "another-password").Client); err == nil {
			t.Error("another password is as good")
		}
	}
	misbehave(t, r)
	troubleWithDatabase(ctx, t, r, w, url)
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	if r.Stderr.Len() == 0 {
		t.Error("the relay logged nothing at all")
	}
	w.Check(t, r)
	t.Logf("the log:\n%s", tail(r.Stderr.String()))
}

// misbehave connects in ways that fail before there is a session, or soon after.
func misbehave(t *testing.T, r *relay.Relay) {
	t.Helper()
	local := &net.TCPAddr{IP: net.ParseIP(leakAddress)}
	open := func() net.Conn {
		c, err := (&net.Dialer{LocalAddr: local}).DialContext(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", r.Port))
		must(t, "connect", err)
		must(t, "deadline", c.SetDeadline(time.Now().Add(answerTime)))
		return c
	}
	request := "GET /" + leakPath + " HTTP/1.1\r\nHost: " + leakSNI + "\r\n\r\n"
	for _, first := range []string{"", request, "\x16\x03\x01\x00\x05hello"} {
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
			_, _ = fmt.Fprint(c, request)
		}
		_ = c.Close()
	}
}

// troubleWithDatabase uses chunks while connections to the database are cut off, and when its tables are gone.
func troubleWithDatabase(ctx context.Context, t *testing.T, r *relay.Relay, w *relay.Witness, url string) {
	t.Helper()
	l := newLeaker(t, r, w, xftp.Versions.Max, leakPassword)
	u := upload(ctx, t, l.Client, 1<<20)
	l.saw(u)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			c := newLeaker(t, r, w, xftp.Versions.Max, leakPassword)
			_ = u.download(ctx, c.Client)
			again := newChunk(1 << 20)
			if again.register(ctx, c.Client) == nil {
				c.saw(again)
				_ = again.upload(ctx, c.Client)
				_ = c.Delete(ctx, again.senderID, again.sender)
			}
		}
	}()
	for range 5 {
		pgtest.Int(t, url, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	}
	<-done
	for _, table := range tables(t, url) {
		pgtest.Exec(t, url, "ALTER TABLE "+table+" RENAME TO elsewhere_"+table)
	}
	l = newLeaker(t, r, w, xftp.Versions.Max, leakPassword)
	if err := newChunk(64<<10).register(ctx, l.Client); err == nil {
		t.Error("a chunk was registered without tables")
	}
	if err := u.download(ctx, l.Client); err == nil {
		t.Error("a chunk was downloaded without tables")
	}
}

// tables lists the relay's tables and their partitions.
func tables(t *testing.T, url string) (names []string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	must(t, "connect", err)
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')
		AND relnamespace = 'public'::regnamespace AND relname <> 'schema_migrations'`)
	must(t, "tables", err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, "tables", err)
	return names
}
