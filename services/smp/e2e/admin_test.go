package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/services/smp/internal/client"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
	"sotto/shared/smp"
)

// adminSettings make a relay log all it ever logs, and have its socket where the path is not too long.
func adminSettings(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "adm")
	must(t, "directory", err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return []string{"SMP_LOG_LEVEL=debug", "SMP_ADMIN_SOCKET=" + filepath.Join(dir, "s", "smp.sock")}
}

// socketOf is where the relay of these settings has its socket.
func socketOf(settings []string) string { return strings.TrimPrefix(settings[1], "SMP_ADMIN_SOCKET=") }

// base64Of writes an id as operators have it.
func base64Of(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

func TestAdminStatus(t *testing.T) {
	settings := adminSettings(t)
	r := startRelay(t, settings...)
	ctx := bounded(t)
	c := dial(t, r, client.Options{})
	q, err := c.NewQueue(ctx, client.QueueOptions{Subscribe: true})
	must(t, "NEW", err)
	for range 2 {
		must(t, "SEND", c.Send(ctx, q.SenderID, noKey, false, []byte("x")))
	}
	status := command(t, r.Env, "admin", "status")
	status.expect(t, exitOK, "connections 1 of", "subscriptions 1", "queues 1;", "messages 2 waiting; 2 received", "database answers in",
		"identity expires on", "web certificate", "Last warnings and errors none")
	for _, line := range strings.Split(status.stdout, "\n") {
		if len(line) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("a line is %q", line)
		}
	}
	var told struct {
		Queues, MessagesWaiting int
		MessagesWaitingExact    bool
		Database                struct{ Bytes int }
		RecentTroubles          []any
	}
	asJSON := command(t, r.Env, "admin", "status", "-o", "json")
	must(t, "JSON", json.Unmarshal([]byte(asJSON.stdout), &told))
	if told.Queues != 1 || told.MessagesWaiting != 2 || !told.MessagesWaitingExact || told.Database.Bytes == 0 || told.RecentTroubles == nil {
		t.Errorf("as JSON: %s", asJSON.stdout)
	}
	command(t, r.Env, "admin", "stats").expect(t, exitOK, "messages received 2", "NEW 1 ok", "SEND 2 ok")
	command(t, r.Env, "admin", "help").expect(t, exitOK, "status", "queue", "--notice")
	command(t, r.Env, "admin", "dance").expect(t, exitUsage, "dance")
	_, err = r.Stop(stopTime)
	must(t, "stop", err)
	command(t, r.Env, "admin", "status").expect(t, exitError, "does not run", socketOf(settings))
}

// TestAdminTrouble: what the relay warned of is in its status.
func TestAdminTrouble(t *testing.T) {
	url := newDatabase(t)
	r := newRelay(t, url, adminSettings(t)...)
	start(t, r)
	ctx := bounded(t)
	c := dial(t, r, client.Options{})
	pgtest.Exec(t, url, "ALTER TABLE queues RENAME TO queues_elsewhere")
	if _, err := c.NewQueue(ctx, client.QueueOptions{}); err == nil {
		t.Fatal("a queue is created without the table of queues")
	}
	command(t, r.Env, "admin", "status").expect(t, exitOK, "refuses to work: create queue: SQLSTATE 42P01")
}

// TestAdminQueue does to a queue what operators do about abuse, by all that a report may have. Neither ids nor links are
// logged.
func TestAdminQueue(t *testing.T) {
	settings := adminSettings(t)
	r := startRelay(t, settings...)
	ctx := bounded(t)
	c := dial(t, r, client.Options{})
	q, err := c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeContact, Subscribe: true})
	must(t, "NEW", err)
	linkKey, linkID := []byte("0123456789abcdef0123456789abcdef"), "e7bKxt3aBWYd5zqZdJJsTT0w89024ONl"
	id, err := base64.RawURLEncoding.DecodeString(linkID)
	must(t, "link id", err)
	must(t, "LSET", c.SetLink(ctx, q, id, []byte("fixed"), []byte("user")))
	w := relay.NewWitness()
	for what, secret := range map[string][]byte{"a sender id": q.SenderID, "a recipient id": q.RecipientID, "a link id": id, "a link key": linkKey} {
		w.Saw(what, secret)
	}
	sender, link := base64Of(q.SenderID), "https://127.0.0.1/a#"+base64Of(linkKey)
	admin := func(args ...string) run { return command(t, r.Env, append([]string{"admin", "queue"}, args...)...) }
	send := func() error { return c.Send(ctx, q.SenderID, noKey, false, []byte("x")) }

	admin(sender).expect(t, exitOK, "status active", "use an address", "short link has one", "recipient connected", "messages 0")
	admin(link, "block", "--reason", "content", "--notice", "30d").expect(t, exitOK, "is blocked")
	admin(linkID, "status").expect(t, exitOK, "blocked for content, with a notice for 30 days")
	want := smp.BlockedError{Reason: smp.ReasonContent, Notice: &smp.Notice{HasTTL: true, TTL: 30 * 86400}}
	if err := send(); err == nil || !strings.Contains(err.Error(), want.Error()) {
		t.Errorf("SEND to a blocked queue: %v", err)
	}
	event := <-c.Events()
	if e, ok := event.Response.(smp.ERR); !ok || string(event.EntityID) != string(q.RecipientID) {
		t.Errorf("the recipient is told %T of %v", event.Response, e)
	}
	event.Release()
	admin("smp://"+base64Of(make([]byte, 32))+"@127.0.0.1/"+sender+"#/?v=1-4&dh=x", "unblock").expect(t, exitOK, "not blocked")
	must(t, "SEND", send())
	admin(sender, "--as", "sender").expect(t, exitOK, "messages 1 waiting")
	admin(sender, "--as", "link").expect(t, exitError, "no such queue")
	admin(base64Of(q.RecipientID)).expect(t, exitError, "no such queue")
	admin("simplex:/a#"+base64Of(q.RecipientID)+"AAAAAAAAAAA?h=other.example", "block").expect(t, exitError, "other.example")
	admin(sender, "delete").expect(t, exitUsage, "--yes")
	admin(link, "delete", "--yes").expect(t, exitOK, "deleted")
	admin(sender).expect(t, exitError, "no such queue")
	if err := send(); err == nil {
		t.Error("the queue is still there")
	}
	_, err = r.Stop(stopTime)
	must(t, "stop", err)
	for _, said := range []string{"a queue was blocked", "a queue was unblocked", "a queue was deleted"} {
		if !strings.Contains(r.Stderr.String(), said) {
			t.Errorf("the log does not tell that %s", said)
		}
	}
	w.Check(t, r)
}

// TestAdminSocket: where the socket is, who may use it, and what a relay does that cannot have it.
func TestAdminSocket(t *testing.T) {
	settings := adminSettings(t)
	r := startRelay(t, settings...)
	info, err := os.Stat(socketOf(settings))
	must(t, "socket", err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the socket has mode %v", info.Mode())
	}
	second := newRelay(t, newDatabase(t), settings...)
	command(t, second.Env, "serve").expect(t, exitUsage, "SMP_ADMIN_SOCKET", "another process")
	command(t, r.Env, "admin", "status").expect(t, exitOK)

	must(t, "kill", r.Kill())
	if _, err := os.Stat(socketOf(settings)); err != nil {
		t.Fatalf("a killed relay leaves no socket behind: %v", err)
	}
	start(t, r)
	command(t, r.Env, "admin", "status").expect(t, exitOK)

	off := startRelay(t, "SMP_ADMIN_SOCKET=off")
	command(t, off.Env, "admin", "status").expect(t, exitUsage, "SMP_ADMIN_SOCKET")
	long := "SMP_ADMIN_SOCKET=/tmp/" + strings.Repeat("x", 200)
	command(t, append(second.Env, long), "serve").expect(t, exitUsage, "SMP_ADMIN_SOCKET", "107 bytes")
}
