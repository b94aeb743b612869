package e2e

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/shared/relay"
	"sotto/shared/smp"
	"sotto/shared/wire"
	"sotto/shared/xftp"
)

// adminSettings make a relay log all it ever logs, and have its socket where the path is not too long.
func adminSettings(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "adm")
	must(t, "directory", err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return []string{"XFTP_LOG_LEVEL=debug", "XFTP_ADMIN_SOCKET=" + filepath.Join(dir, "s", "xftp.sock")}
}

func TestAdminStatus(t *testing.T) {
	r := startRelay(t, append(adminSettings(t), "XFTP_STORAGE_QUOTA=8mb")...)
	ctx := bounded(t)
	upload(ctx, t, dial(t, r, client.Options{}), 1<<20)
	status := command(t, r.Env, "admin", "status")
	status.expect(t, exitOK, "connections 1 of", "transfers 0 of", "chunks 1 stored; 1 uploaded", "room 1.0 MB used of 8.0 MB, 12 %",
		"database answers in", "identity expires on", "web certificate", "Last warnings and errors none")
	for _, line := range strings.Split(status.stdout, "\n") {
		if len(line) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("a line is %q", line)
		}
	}
	var told struct{ Chunks, ChunkBytes, QuotaBytes int64 }
	asJSON := command(t, r.Env, "admin", "-o", "json", "status")
	must(t, "JSON", json.Unmarshal([]byte(asJSON.stdout), &told))
	if told.Chunks != 1 || told.ChunkBytes != 1<<20 || told.QuotaBytes != 8<<20 {
		t.Errorf("as JSON: %s", asJSON.stdout)
	}
	command(t, r.Env, "admin", "stats").expect(t, exitOK, "chunks uploaded 1", "FPUT 1 ok")
	command(t, r.Env, "admin", "help").expect(t, exitOK, "status", "file", "--notice")
	command(t, r.Env, "admin", "queue", "x").expect(t, exitUsage, "queue")
}

// TestAdminFile does to a chunk what operators do about abuse. No id is logged.
func TestAdminFile(t *testing.T) {
	r := startRelay(t, adminSettings(t)...)
	ctx := bounded(t)
	c := dial(t, r, client.Options{})
	u := upload(ctx, t, c, 64<<10)
	w := relay.NewWitness()
	w.Saw("a sender id", u.senderID)
	w.Saw("a recipient id", u.recipientID)
	recipient, sender := base64.RawURLEncoding.EncodeToString(u.recipientID), base64.URLEncoding.EncodeToString(u.senderID)
	admin := func(args ...string) run { return command(t, r.Env, append([]string{"admin", "file"}, args...)...) }

	admin(recipient).expect(t, exitOK, "status active", "size 64.0 KB", "expires")
	admin(recipient, "block", "--reason", "content", "--notice", "1h").expect(t, exitOK, "Blocked")
	admin(sender, "status").expect(t, exitOK, "blocked for content, with a notice for 1 hour")
	blocked := xftp.BlockedError{Reason: smp.ReasonContent, Notice: &smp.Notice{HasTTL: true, TTL: 3600}}
	var refusal xftp.Error
	if err := u.download(ctx, c); !errors.As(err, &refusal) || refusal.Error() != blocked.Error() {
		t.Errorf("a download of what is blocked: %v", err)
	}
	old := dial(t, r, client.Options{Versions: wire.VersionRange{Min: 1, Max: 2}})
	if err := u.download(ctx, old); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("a download by a version that does not know of blocking: %v", err)
	}
	admin(sender, "unblock").expect(t, exitOK, "upload it again")
	admin(recipient).expect(t, exitOK, "registered, not uploaded")
	must(t, "upload again", u.upload(ctx, c))
	must(t, "download", u.download(ctx, c))
	admin(recipient, "delete").expect(t, exitUsage, "--yes")
	admin(recipient, "delete", "--yes").expect(t, exitOK, "Deleted")
	admin(sender).expect(t, exitError, "no such file")
	admin("x").expect(t, exitUsage, "22 characters")
	_, err := r.Stop(stopTime)
	must(t, "stop", err)
	for _, said := range []string{"a chunk was blocked", "a chunk was unblocked", "a chunk was deleted"} {
		if !strings.Contains(r.Stderr.String(), said) {
			t.Errorf("the log does not tell that %s", said)
		}
	}
	w.Check(t, r)
}

// TestAdminFileByLink deletes what a link and a description name.
func TestAdminFileByLink(t *testing.T) {
	r := startRelay(t, adminSettings(t)...)
	dir := t.TempDir()
	must(t, "file", os.WriteFile(filepath.Join(dir, "file.bin"), make([]byte, 700_000), 0o600))
	sent := commandIn(t, dir, nil, "send", "file.bin", "--to", server(t, r).String())
	sent.expect(t, exitOK)
	description := filepath.Join(dir, "file.bin.xftp", "rcv1.xftp")
	link := commandIn(t, dir, nil, "send", "file.bin", "--link", "--to", server(t, r).String())
	link.expect(t, exitOK)
	admin := func(what string, args ...string) run {
		return command(t, r.Env, append([]string{"admin", "file", what}, args...)...)
	}
	admin(description).expect(t, exitOK, "1 of ", "status active", "here")
	admin(description, "delete", "--yes").expect(t, exitOK, "Deleted.")
	admin(description).expect(t, exitError, "none of the")
	admin(strings.TrimSpace(link.stdout), "block").expect(t, exitOK, "Blocked")
	admin(strings.TrimSpace(link.stdout)).expect(t, exitOK, "blocked for spam")
	commandIn(t, dir, nil, "receive", strings.TrimSpace(link.stdout)).expect(t, exitError)
}
