package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sizes of files, in bytes.
const (
	oneChunk   = 1000      // its link is the description itself
	manyChunks = 5_000_000 // its link is to a description that leads to it
)

// sentFile is what a client of browsers tells of a file that it has sent.
type sentFile struct {
	Link   string `json:"link"`
	Digest string `json:"digest"` // SHA-256, base64url
}

// receivedFile is what a client of browsers tells of a file that it has received.
type receivedFile struct {
	Name       string `json:"name"`
	Size       int    `json:"size"`
	Digest     string `json:"digest"`
	Redirected bool   `json:"redirected"`
}

// TestWebLinks sends files from the command line and from browsers, and opens the links at the other.
//
// Spec: xftp.md 13.5
func TestWebLinks(t *testing.T) {
	for where, client := range webClients {
		t.Run(where, func(t *testing.T) {
			r := startWebRelay(t, keyECDSA)
			t.Run("from the command line", func(t *testing.T) {
				fromCommandLine(t, r, client, oneChunk, false)
				fromCommandLine(t, r, client, manyChunks, true)
			})
			t.Run("to the command line", func(t *testing.T) {
				toCommandLine(t, r, client, manyChunks, false)
				toCommandLine(t, r, client, manyChunks, true)
			})
		})
	}
}

// TestWebLinksBetweenBrowsers opens a link in another browser than it was made in, so on another connection.
func TestWebLinksBetweenBrowsers(t *testing.T) {
	r := startWebRelay(t, keyECDSA)
	sent := sendFrom(t, r, inChromium, manyChunks, true)
	want := receivedFile{webFile, manyChunks, sent.Digest, true}
	receiveIn(t, r, inChromium, sent.Link, want)
	receiveIn(t, r, inNode, sent.Link, want)
}

// webFile is a name that is not the same bytes in every encoding of text.
const webFile = "Bericht 文件 für alle.bin"

// fromCommandLine sends a file with the binary and opens its link.
func fromCommandLine(t *testing.T, r webRelay, client webClient, size int, redirect bool) {
	t.Helper()
	dir := t.TempDir()
	content := make([]byte, size)
	_, _ = rand.Read(content) // never fails
	must(t, "write", os.WriteFile(filepath.Join(dir, webFile), content, 0o600))
	sent := commandIn(t, dir, nil, "send", webFile, "--link", "--to", r.address)
	sent.expect(t, exitOK)
	receiveIn(t, r, client, strings.TrimSpace(sent.stdout), receivedFile{webFile, size, digestText(content), redirect})
}

// receiveIn opens a link, which has to lead to this file.
func receiveIn(t *testing.T, r webRelay, client webClient, link string, want receivedFile) {
	t.Helper()
	var got receivedFile
	client(t, r, "receive", map[string]any{"link": link}, &got)
	if got != want {
		t.Errorf("received %+v, not %+v", got, want)
	}
}

// sendFrom sends a file from a client of browsers.
func sendFrom(t *testing.T, r webRelay, client webClient, size int, redirect bool) sentFile {
	t.Helper()
	var sent sentFile
	client(t, r, "send", map[string]any{"address": r.address, "name": webFile, "size": size, "redirect": redirect}, &sent)
	return sent
}

// toCommandLine sends a file from a client of browsers and opens its link with the binary.
func toCommandLine(t *testing.T, r webRelay, client webClient, size int, redirect bool) {
	t.Helper()
	sent := sendFrom(t, r, client, size, redirect)
	out := t.TempDir()
	command(t, nil, "receive", sent.Link, "--out", out).expect(t, exitOK)
	content, err := os.ReadFile(filepath.Join(out, webFile))
	must(t, "read", err)
	if len(content) != size || digestText(content) != sent.Digest {
		t.Errorf("another file came back, of %d bytes", len(content))
	}
}

// digestText is SHA-256 as clients of browsers write it.
func digestText(content []byte) string {
	digest := sha256.Sum256(content)
	return base64.URLEncoding.EncodeToString(digest[:])
}
