package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sotto/shared/relay"
)

const (
	// bigSize is that of the large file, in bytes.
	bigSize = 1 << 30
	// mostResident is what a process may have in memory, however large the file: a small part of it.
	mostResident = 160 << 20
	// sampleTime is the pause between two looks at the memory of processes.
	sampleTime = 20 * time.Millisecond
)

// TestBigFile sends a file of 1 GB through two relays with the command line, and receives it. It comes back identical, and
// no process grows with it.
func TestBigFile(t *testing.T) {
	relays := []*relay.Relay{
		startRelay(t, "XFTP_STORAGE_QUOTA=2gb", "XFTP_CREATE_PASSWORD=s3cret"), startRelay(t, "XFTP_STORAGE_QUOTA=2gb"),
	}
	dir := t.TempDir()
	want := writeBig(t, filepath.Join(dir, "big.bin"))
	plain := []string{server(t, relays[0]).String(), server(t, relays[1]).String()}
	sent := watched(t, dir, relays, "send", "big.bin", "--to", strings.Replace(plain[0], "@", ":s3cret@", 1), "--to", plain[1])
	sent.expect(t, exitOK, "rcv1.xftp", "snd.xftp.private", "simplex:/file#/", "https://")
	description := filepath.Join("big.bin.xftp", "rcv1.xftp")
	checkDescription(t, filepath.Join(dir, description), plain)
	out := filepath.Join(dir, "out")
	must(t, "directory", os.Mkdir(out, 0o700))
	watched(t, dir, relays, "receive", description, "--out", out).expect(t, exitOK, "big.bin")
	if digestOf(t, filepath.Join(out, "big.bin")) != want {
		t.Error("another file came back")
	}
	commandIn(t, dir, nil, "delete", filepath.Join("big.bin.xftp", "snd.xftp.private")).expect(t, exitOK)
	commandIn(t, dir, nil, "receive", description, "--out", t.TempDir()).expect(t, exitError)
}

// writeBig writes a large file that nothing can compress, and returns its digest.
func writeBig(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Create(path)
	must(t, "create", err)
	hash := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(f, hash), 1<<20)
	_, err = io.CopyN(w, rand.NewChaCha8([32]byte{1}), bigSize)
	must(t, "write", err)
	must(t, "write", w.Flush())
	must(t, "write", f.Close())
	return [sha256.Size]byte(hash.Sum(nil))
}

func digestOf(t *testing.T, path string) [sha256.Size]byte {
	t.Helper()
	f, err := os.Open(path)
	must(t, "open", err)
	defer f.Close()
	hash := sha256.New()
	_, err = io.Copy(hash, f)
	must(t, "read", err)
	return [sha256.Size]byte(hash.Sum(nil))
}

// checkDescription checks that the chunks are on all relays, and that no password is told.
func checkDescription(t *testing.T, path string, relays []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, "description", err)
	for _, r := range relays {
		if n := strings.Count(string(text), "server: "+r+"\n"); n != 1 {
			t.Errorf("a relay is named %d times in the description", n)
		}
	}
	if strings.Contains(string(text), "s3cret") {
		t.Error("the description has the password")
	}
}

// watched runs the binary and fails the test if its memory, or that of a relay, grows too large.
func watched(t *testing.T, dir string, relays []*relay.Relay, args ...string) run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, relayBinary(t), args...)
	cmd.Env, cmd.Dir = relay.Environment(), dir
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	must(t, "start", cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // its state tells
		close(ended)
	}()
	pids := map[string]int{args[0]: cmd.Process.Pid}
	for i, r := range relays {
		pids[fmt.Sprintf("relay %d", i)] = r.Pid()
	}
	began := time.Now()
	for name, rss := range highest(pids, ended) {
		t.Logf("%s %v: at most %d MB resident", args[0], name, rss>>20)
		if rss > mostResident {
			t.Errorf("%s has %d MB resident", name, rss>>20)
		}
	}
	t.Logf("%s took %v", args[0], time.Since(began).Round(time.Millisecond))
	return run{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// highest returns the highest resident memory of processes until it has ended.
func highest(pids map[string]int, ended <-chan struct{}) map[string]int64 {
	most := make(map[string]int64)
	tick := time.NewTicker(sampleTime)
	defer tick.Stop()
	for {
		for name, pid := range pids {
			if u, err := relay.UsageOf(pid); err == nil {
				most[name] = max(most[name], u.RSS)
			}
		}
		select {
		case <-tick.C:
		case <-ended:
			return most
		}
	}
}
