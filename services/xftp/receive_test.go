package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/xftp"
)

var (
	quota   = xftp.ERR{Err: xftp.ErrQuota}
	noFile  = xftp.ERR{Err: xftp.ErrNoFile}
	blocked = xftp.ERR{Err: xftp.BlockedError{Reason: "content"}}
)

// sentTo sends a file and returns the directory of its descriptions.
func sentTo(t *testing.T, to string, n int) (dir, link string, body []byte) {
	t.Helper()
	path, body := newFile(t, "file", n)
	out := t.TempDir()
	sent := command(t, "send", path, "--to", to, "--out", out)
	sent.expect(t, 0)
	return filepath.Join(out, "file.xftp"), sent.after(t, "Web link:"), body
}

// TestReceiveFailures: what the person reads when the relay does not give the file, which is nothing of its description.
func TestReceiveFailures(t *testing.T) {
	for want, hook := range map[string]func(http.ResponseWriter, *clienttest.Request){
		"has blocked the file (content)": func(w http.ResponseWriter, r *clienttest.Request) { clienttest.Answer(w, r, blocked) },
		"has not been finished":          func(w http.ResponseWriter, r *clienttest.Request) { clienttest.Answer(w, r, noFile) },
		"the file is damaged there": func(w http.ResponseWriter, r *clienttest.Request) {
			file, sealed := clienttest.Seal(r, make([]byte, 64<<10))
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed)
		},
	} {
		_, to := relay(t, clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
			if r.Step == "FGET" {
				hook(w, r)
			}
			return r.Step == "FGET"
		}})
		_, link, _ := sentTo(t, to, 1000)
		got := command(t, "receive", link, "--out", t.TempDir())
		got.expect(t, 1, want)
		checkSecrets(t, parse(t, link), got.stdout+got.stderr)
	}
}

// TestReceiveMistakes: wrong arguments are told without repeating links.
func TestReceiveMistakes(t *testing.T) {
	_, to := relay(t, clienttest.Options{})
	dir, link, _ := sentTo(t, to, 1000)
	path, _ := newFile(t, "file", 10)
	private := filepath.Join(dir, "snd.xftp.private")
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "receive lacks a link", []string{"receive"}},
		{2, "--out", []string{"receive", link, "--out", path}},
		{1, "no link to a file", []string{"receive", link[:len(link)-20]}},
		{1, "no link to a file", []string{"receive", "https://example.org/"}},
		{1, "no such file", []string{"receive", path + ".missing"}},
		{1, "is not the description of a file", []string{"receive", path}},
		{1, "This is the sender's description", []string{"receive", private}},
		{2, "delete lacks", []string{"delete"}},
		{1, "no such file", []string{"delete", path + ".missing"}},
		{1, "no sender's description in", []string{"delete", filepath.Dir(path)}},
		{1, "This is a recipient's description", []string{"delete", private, filepath.Join(dir, "rcv1.xftp")}},
		{2, "info lacks", []string{"info"}},
		{1, "no link to a file", []string{"info", "simplex:/file#/?desc=x"}},
	} {
		got := command(t, c.args...)
		got.expect(t, c.code, c.want)
		if len(link) > 100 && strings.Contains(got.stderr, link[50:100]) {
			t.Errorf("the link is repeated: %s", got.stderr)
		}
	}
	command(t, "receive", link, "--out", t.TempDir()).expect(t, 0) // nothing was deleted
}

// TestReceiveResumes: a transfer that was interrupted goes on, and the person is told that it does.
func TestReceiveResumes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	_, to := relay(t, clienttest.Options{Hook: func(_ http.ResponseWriter, r *clienttest.Request) bool {
		if r.Step == "FGET" {
			stop()
		}
		return false
	}})
	dir, _, body := sentTo(t, to, 5_000_000)
	into := t.TempDir()
	rcv := filepath.Join(dir, "rcv1.xftp")
	commandContext(ctx, "receive", rcv, "--out", into).expect(t, 1, "Stopped.", "the same command goes on from here")
	command(t, "receive", rcv, "--out", into).expect(t, 0)
	checkFileIs(t, filepath.Join(into, "file"), body)
	if names := list(t, into); len(names) != 1 {
		t.Errorf("%q are left", names)
	}
}

// TestDeleteFails: what could not be deleted is told, and the rest is.
func TestDeleteFails(t *testing.T) {
	first, a := relay(t, clienttest.Options{})
	second, b := relay(t, clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
		if r.Step == "FDEL" {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrFileIO})
		}
		return r.Step == "FDEL"
	}})
	dir, _, _ := sentTo(t, a+";"+b, 2_500_000)
	before := first.Chunks() + second.Chunks()
	got := command(t, "delete", dir)
	got.expect(t, 1, "Deleted ", "Not deleted: ", "cannot store files")
	if first.Chunks() != 0 || second.Chunks() == 0 || before == second.Chunks() {
		t.Errorf("%d and %d chunks are left", first.Chunks(), second.Chunks())
	}
}

func TestInfo(t *testing.T) {
	_, to := relay(t, clienttest.Options{})
	dir, link, _ := sentTo(t, to, 5_000_000)
	mine := command(t, "info", filepath.Join(dir, "snd.xftp.private"))
	mine.expect(t, 0, "For: the sender", "Size: 5 MB", "Chunks: 2", "Relay: "+to+" has 5 MB in 2 chunks")
	theirs := command(t, "info", filepath.Join(dir, "rcv1.xftp"), link)
	theirs.expect(t, 0, "For: the recipient", "Chunks: 2", "Chunks: not in the link", "Size: 5 MB Chunks: not")
	checkSecrets(t, parse(t, link), theirs.stdout)
	text, err := os.ReadFile(filepath.Join(dir, "rcv1.xftp"))
	if err != nil || !strings.Contains(string(text), "chunkSize: 4mb") {
		t.Errorf("the description is %v:\n%s", err, text)
	}
}
