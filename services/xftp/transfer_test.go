package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/description"
	"sotto/shared/run"
)

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// command runs a command.
func command(t *testing.T, args ...string) result {
	t.Helper()
	return commandContext(t.Context(), args...)
}

func commandContext(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	code := run.Run(ctx, "xftp", dispatch, args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// expect fails the test unless the command ended with this code and says all of these words.
func (r result) expect(t *testing.T, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d:\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	said := strings.Join(strings.Fields(r.stdout+r.stderr), " ")
	for _, word := range words {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not said:\n%s%s", word, r.stdout, r.stderr)
		}
	}
	if strings.Contains(r.stdout+r.stderr, "\x1b") {
		t.Errorf("a cursor is moved where there is none: %q", r.stdout+r.stderr)
	}
}

// after returns the line after this one of the output.
func (r result) after(t *testing.T, line string) string {
	t.Helper()
	_, rest, ok := strings.Cut(r.stdout, line+"\n")
	if !ok {
		t.Fatalf("no line %q in\n%s", line, r.stdout)
	}
	line, _, _ = strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// relay starts a relay and returns its address.
func relay(t *testing.T, o clienttest.Options) (*clienttest.Relay, string) {
	t.Helper()
	r := clienttest.Start(t, o)
	return r, r.Address().String()
}

// newFile writes a file of n bytes into a new directory.
func newFile(t *testing.T, name string, n int) (path string, body []byte) {
	t.Helper()
	body = make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{2}).Read(body)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, body
}

// checkFileIs fails the test unless a file has this content.
func checkFileIs(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s has %d bytes that are not the %d sent (%v)", path, len(got), len(want), err)
	}
}

// checkSecrets fails the test if a text has an id or a key of a description.
func checkSecrets(t *testing.T, d *description.Description, text string) {
	t.Helper()
	encode := base64.RawURLEncoding.EncodeToString
	secrets := []string{encode(d.Key[:]), encode(d.Nonce[:]), encode(d.Digest[:])}
	for _, c := range d.Chunks {
		for _, r := range c.Replicas {
			secrets = append(secrets, encode(r.ID), encode(r.Key.AppendPKCS8(nil)[16:47]))
		}
	}
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("an id or a key is printed:\n%s", text)
		}
	}
}

// TestSendAndReceive goes through all commands with a file of several chunks: by description, web link and app link.
func TestSendAndReceive(t *testing.T) {
	r, to := relay(t, clienttest.Options{})
	path, body := newFile(t, "photo.jpg", 5_000_000)
	out := t.TempDir()
	sent := command(t, "send", path, "--to", to, "--recipients", "3", "--out", out)
	sent.expect(t, 0, "Sent photo.jpg: 4.77 MB in 2 chunks.", "Web link for the first recipient:")
	dir := filepath.Join(out, "photo.jpg.xftp")
	if got := sent.after(t, "Description for you, to delete the file:"); got != filepath.Join(dir, "snd.xftp.private") {
		t.Errorf("the sender's description is said to be %q", got)
	}
	web, app := sent.after(t, "Web link for the first recipient:"), sent.after(t, "App link for the first recipient:")
	if len(web) > 700 || len(app) > 1002 || !strings.HasPrefix(web, "https://127.0.0.1:") || !strings.HasPrefix(app, "simplex:/file#/?desc=") {
		t.Errorf("links of %d and %d characters:\n%s\n%s", len(web), len(app), web, app)
	}
	checkModes(t, dir, "link.xftp.private", "rcv1.xftp", "rcv2.xftp", "rcv3.xftp", "snd.xftp.private")

	into := t.TempDir()
	for _, c := range [][]string{
		{"receive", app, "--out", into, "--keep"},
		{"receive", "--out=" + into, web},
		{"receive", "--out", into, filepath.Join(dir, "rcv2.xftp"), filepath.Join(dir, "rcv3.xftp")},
	} {
		got := command(t, c...)
		got.expect(t, 0)
		for line := range strings.Lines(got.stdout) {
			checkFileIs(t, strings.TrimSuffix(line, "\n"), body)
		}
	}
	if names := list(t, into); strings.Join(names, " ") != "photo.jpg photo_1.jpg photo_2.jpg photo_3.jpg" {
		t.Errorf("received %q", names)
	}
	again := command(t, "receive", web, "--out", into)
	again.expect(t, 1, "does not have the file any more")
	checkSecrets(t, parse(t, web), again.stderr)

	command(t, "delete", dir).expect(t, 0, "Deleted 3 chunks.")
	command(t, "delete", filepath.Join(dir, "snd.xftp.private")).expect(t, 0, "Gone already: 2 chunks.")
	if n := r.Chunks(); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
	command(t, "receive", filepath.Join(dir, "rcv1.xftp"), "--out", into).expect(t, 1, "does not have the file any more")
}

// checkModes fails the test unless these are the files of a directory, and only their owner reads them.
func checkModes(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := list(t, dir); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("files %q, want %q", got, want)
	}
	for _, name := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func parse(t *testing.T, link string) *description.Description {
	t.Helper()
	d, _, err := description.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
