package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
)

// TestSendLinkOnly: what a script reads is the link alone, and a short file needs no redirect.
func TestSendLinkOnly(t *testing.T) {
	_, to := relay(t, clienttest.Options{})
	path, body := newFile(t, "note.txt", 100)
	out := t.TempDir()
	sent := command(t, "send", "--to", to, "--link", path, "--out", out)
	sent.expect(t, 0)
	link, rest, _ := strings.Cut(sent.stdout, "\n")
	if rest != "" || sent.stderr != "" || parse(t, link).Redirect != nil {
		t.Errorf("prints %q and %q", sent.stdout, sent.stderr)
	}
	into := t.TempDir()
	command(t, "receive", link, "--out", into).expect(t, 0)
	checkFileIs(t, filepath.Join(into, "note.txt"), body)
}

// TestSendSeveral: several files, on two relays of which one needs a password, twice.
func TestSendSeveral(t *testing.T) {
	_, first := relay(t, clienttest.Options{})
	_, second := relay(t, clienttest.Options{Password: "s3cret"})
	to := first + "; " + strings.Replace(second, "@", ":s3cret@", 1)
	a, _ := newFile(t, "a.tar.gz", 2_000_000)
	b, _ := newFile(t, "-b", 1)
	out := t.TempDir()
	for range 2 {
		sent := command(t, "send", "--out", out, "--to", to, a, "--", b)
		sent.expect(t, 0, "Sent a.tar.gz", "Sent -b: 1 bytes in 1 chunk.")
		if strings.Contains(sent.stdout+sent.stderr, "s3cret") {
			t.Error("the password is printed")
		}
	}
	if got := strings.Join(list(t, out), " "); got != "-b.xftp -b_1.xftp a.tar.gz.xftp a.tar_1.gz.xftp" {
		t.Errorf("directories %q", got)
	}
	command(t, "info", filepath.Join(out, "a.tar.gz.xftp", "rcv1.xftp")).expect(t, 0, first, second)
}

// TestSendLeavesOut: a relay that is away gets no chunks, and the person is told.
func TestSendLeavesOut(t *testing.T) {
	_, to := relay(t, clienttest.Options{})
	path, body := newFile(t, "file", 3_000_000)
	sent := command(t, "send", path, "--to", strings.Replace(to, "127.0.0.1:", "127.0.0.2:1", 1)+";"+to, "--out", t.TempDir())
	sent.expect(t, 0, "The relay 127.0.0.2:", "gets no chunks:")
	into := t.TempDir()
	command(t, "receive", sent.after(t, "Web link:"), "--out", into).expect(t, 0)
	checkFileIs(t, filepath.Join(into, "file"), body)
}

// TestSendMistakes: what is wrong with the command line ends with another code than what goes wrong, and nothing is sent.
func TestSendMistakes(t *testing.T) {
	r, to := relay(t, clienttest.Options{Password: "s3cret"})
	path, _ := newFile(t, "file", 10)
	out := t.TempDir()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "lacks --to ADDRESS", []string{path}},
		{2, "lacks the name of a file", []string{"--to", to}},
		{2, "not defined: -loud", []string{path, "--loud"}},
		{2, "from 1 to 1000", []string{path, "--to", to, "--recipients", "0"}},
		{2, "invalid value", []string{path, "--to", to, "--recipients", "many"}},
		{2, "no relay address", []string{path, "--to", "xftp://nonsense:s3cret@"}},
		{2, "no relay address", []string{path, "--to", "smp" + strings.TrimPrefix(to, "xftp")}},
		{2, "--out", []string{path, "--to", to, "--out", filepath.Join(out, "missing")}},
		{2, "is not a directory", []string{path, "--to", to, "--out", path}},
		{1, "no such file", []string{path + ".missing", "--to", to}},
		{1, "is a directory", []string{path, out, "--to", to}},
		{1, "not an ordinary file", []string{os.DevNull, "--to", to}},
		{1, "it needs a password", []string{path, "--to", to, "--out", out}},
		{1, "password in the address is wrong", []string{path, "--to", strings.Replace(to, "@", ":wrong@", 1), "--out", out}},
		{0, "Usage: xftp", []string{"--help"}},
	} {
		got := command(t, append([]string{"send"}, c.args...)...)
		got.expect(t, c.code, c.want)
		if strings.Contains(got.stderr, "s3cret") || strings.Contains(got.stderr, ":wrong@") {
			t.Errorf("a password is printed: %s", got.stderr)
		}
	}
	if names := list(t, out); len(names) > 0 || r.Chunks() > 0 {
		t.Errorf("%q and %d chunks are left", names, r.Chunks())
	}
}

// TestSendTooLarge: the size of the file decides, before anything is sent.
func TestSendTooLarge(t *testing.T) {
	path, _ := newFile(t, "huge", 0)
	if err := os.Truncate(path, 5<<30+1); err != nil {
		t.Fatal(err)
	}
	_, to := relay(t, clienttest.Options{})
	command(t, "send", path, "--to", to).expect(t, 1, "larger than 5 GB")
}

// TestSendStopped: after an interruption there is nothing left, here or on the relay.
func TestSendStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	r, to := relay(t, clienttest.Options{Hook: func(_ http.ResponseWriter, r *clienttest.Request) bool {
		if r.Step == "FPUT" {
			stop()
		}
		return false
	}})
	path, _ := newFile(t, "file", 3_000_000)
	out := t.TempDir()
	commandContext(ctx, "send", path, "--to", to, "--out", out).expect(t, 1, "Stopped.")
	if names := list(t, out); len(names) > 0 || r.Chunks() > 0 {
		t.Errorf("%q and %d chunks are left", names, r.Chunks())
	}
}

// TestSendWithoutRedirect: if the links cannot be made, the file that is there already is deleted again.
func TestSendWithoutRedirect(t *testing.T) {
	var created atomic.Int64
	r, to := relay(t, clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
		if r.Step == "FNEW" {
			created.Add(1)
		}
		if created.Load() <= 2 || r.Step != "FPUT" {
			return false
		}
		clienttest.Answer(w, r, quota)
		return true
	}})
	path, _ := newFile(t, "file", 5_000_000)
	out := t.TempDir()
	command(t, "send", path, "--to", to, "--out", out).expect(t, 1, "storage is full")
	if names := list(t, out); len(names) > 0 || r.Chunks() > 0 {
		t.Errorf("%q and %d chunks are left", names, r.Chunks())
	}
}
