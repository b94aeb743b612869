package transfer

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"sotto/services/xftp/internal/client"
	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/description"
	"sotto/shared/file"
	"sotto/shared/xftp"
)

// TestReceiveMisbehaving: a relay that gives other bytes, or not all of them.
func TestReceiveMisbehaving(t *testing.T) {
	seal := func(w http.ResponseWriter, r *clienttest.Request, body []byte, n int) bool {
		file, sealed := clienttest.Seal(r, body)
		clienttest.Answer(w, r, file)
		_, _ = w.Write(sealed[:n])
		return true
	}
	for name, c := range map[string]struct {
		do      func(w http.ResponseWriter, r *clienttest.Request) bool
		want    error
		gets    int64
		resumes bool
	}{
		"other bytes": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			return seal(w, r, make([]byte, 64<<10), 64<<10+16)
		}, client.ErrDigest, 1, false},
		"wrong tag": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			file, sealed := clienttest.Seal(r, make([]byte, 64<<10))
			sealed[64<<10] ^= 1
			clienttest.Answer(w, r, file)
			_, _ = w.Write(sealed)
			return true
		}, client.ErrTag, 1, true},
		"truncated": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			return seal(w, r, make([]byte, 64<<10), 30_000)
		}, client.ErrSize, knownAttempts, true},
		"cut": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			seal(w, r, make([]byte, 64<<10), 30_000)
			panic(http.ErrAbortHandler)
		}, nil, knownAttempts, true},
		"gone": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrAuth})
			return true
		}, xftp.ErrAuth, 1, false},
		"not uploaded": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrNoFile})
			return true
		}, xftp.ErrNoFile, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			var gets atomic.Int64
			_, to := relays(t, on("FGET", func(w http.ResponseWriter, r *clienttest.Request) bool {
				gets.Add(1)
				return c.do(w, r)
			}))
			sent := send(t, "file", content(1000), to, 1)
			dir := t.TempDir()
			_, err := Receive(t.Context(), sent.Recipients[0], dir, impatient())
			if _, ok := errors.AsType[*RelayError](err); !ok || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			checkText(t, err)
			if n := gets.Load(); n != c.gets {
				t.Errorf("%d downloads, want %d", n, c.gets)
			}
			if Resumes(err) != c.resumes {
				t.Errorf("resumes: %v", !c.resumes)
			}
			if names := entries(t, dir); len(names) > 1 || (len(names) == 1) != c.resumes {
				t.Errorf("%q are left", names)
			}
		})
	}
}

// TestReceiveRetries: what is cut once is received the next time, and counted once.
func TestReceiveRetries(t *testing.T) {
	var gets atomic.Int64
	_, to := relays(t, on("FGET", func(w http.ResponseWriter, r *clienttest.Request) bool {
		if gets.Add(1)%2 == 0 {
			return false
		}
		file, sealed := clienttest.Seal(r, make([]byte, mib))
		clienttest.Answer(w, r, file)
		_, _ = w.Write(sealed[:100_000])
		panic(http.ErrAbortHandler)
	}))
	body := content(9 * mib)
	sent := send(t, "file", body, to, 1)
	dir := t.TempDir()
	o := impatient()
	o.Connections = 1
	progress := newProgress(t, &o)
	received, err := Receive(t.Context(), sent.Recipients[0], dir, o)
	if err != nil {
		t.Fatal(err)
	}
	progress.complete(sent.Sender.Size)
	if got, err := os.ReadFile(received.Path); err != nil || !bytes.Equal(got, body) {
		t.Errorf("another file: %v", err)
	}
}

// TestReceiveResumes: chunks that were received before are not downloaded again, except one that is damaged here.
//
// Spec: xftp.md 18.3
func TestReceiveResumes(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var gets atomic.Int64
	_, to := relays(t, on("FGET", func(http.ResponseWriter, *clienttest.Request) bool {
		if gets.Add(1) == 4 {
			stop()
		}
		return false
	}))
	body := content(17 * mib)
	d := send(t, "file", body, to, 1).Recipients[0]
	dir := t.TempDir()
	o := impatient()
	o.Connections = 1
	_, err := Receive(ctx, d, dir, o)
	if !errors.Is(err, context.Canceled) || !Resumes(err) {
		t.Fatalf("got %v", err)
	}
	w := entries(t, dir)
	if len(w) != 1 {
		t.Fatalf("%q are there", w)
	}
	if err := os.Truncate(filepath.Join(dir, w[0], "chunk-2"), 1000); err != nil {
		t.Fatal(err)
	}
	gets.Store(100)
	progress := newProgress(t, &o)
	received, err := Receive(t.Context(), d, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	progress.complete(d.Size)
	if n := gets.Load() - 100; n != 4 {
		t.Errorf("%d chunks were downloaded, want 4 of 6", n)
	}
	if got, err := os.ReadFile(received.Path); err != nil || !bytes.Equal(got, body) {
		t.Errorf("another file: %v", err)
	}
	if names := entries(t, dir); len(names) != 1 {
		t.Errorf("%q are left", names)
	}
}

// TestReceiveReplicas: the second replica is used when the first fails, whatever the reason.
//
// Spec: xftp.md 12.4
func TestReceiveReplicas(t *testing.T) {
	_, to := honest(t, 2)
	body := content(5 * mib)
	d := send(t, "file", body, to[:1], 1).Recipients[0]
	other := send(t, "file", body, to[1:], 1).Recipients[0]
	for i := range d.Chunks {
		good := d.Chunks[i].Replicas[0]
		wrong := other.Chunks[i].Replicas[0] // of other bytes
		gone := good
		gone.ID = bytes.Repeat([]byte{1}, 16)
		away := good
		away.Server.Port = "1"
		d.Chunks[i].Replicas = []description.Replica{wrong, gone, away, good}
	}
	receive(t, d, t.TempDir(), body)
}

// TestReceiveAcknowledges: afterwards this recipient has no more access, unless it was to be kept. Others have.
//
// Spec: xftp.md 8.7
func TestReceiveAcknowledges(t *testing.T) {
	_, to := honest(t, 1)
	body := content(1000)
	sent := send(t, "file", body, to, 2)
	o := impatient()
	o.Keep = true
	if _, err := Receive(t.Context(), sent.Recipients[0], t.TempDir(), o); err != nil {
		t.Fatal(err)
	}
	receive(t, sent.Recipients[0], t.TempDir(), body)
	if _, err := Receive(t.Context(), sent.Recipients[0], t.TempDir(), o); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("after it was acknowledged: %v", err)
	}
	receive(t, sent.Recipients[1], t.TempDir(), body)
}

// TestReceiveBroken: chunks that are what the description says, and are not its file, appear nowhere.
func TestReceiveBroken(t *testing.T) {
	_, to := honest(t, 1)
	for name, change := range map[string]func(d *description.Description){
		"digest": func(d *description.Description) { d.Digest[0] ^= 1 },
		"key":    func(d *description.Description) { d.Key[0] ^= 1 },
		"nonce":  func(d *description.Description) { d.Nonce[0] ^= 1 },
		"order":  func(d *description.Description) { d.Chunks[0], d.Chunks[1] = d.Chunks[1], d.Chunks[0] },
	} {
		d := send(t, "file", content(130_000), to, 1).Recipients[0]
		change(d)
		dir := t.TempDir()
		if _, err := Receive(t.Context(), d, dir, impatient()); !errors.Is(err, ErrBroken) || Resumes(err) {
			t.Errorf("%s: got %v", name, err)
		}
		checkEmpty(t, dir)
	}
}

func TestReceiveRefuses(t *testing.T) {
	_, to := honest(t, 1)
	sent := send(t, "file", content(1000), to, 1)
	if _, err := Receive(t.Context(), sent.Sender, t.TempDir(), impatient()); err != ErrParty {
		t.Errorf("a sender's description: %v", err)
	}
	d := *sent.Recipients[0]
	d.Size = mostEncoded + 1
	dir := t.TempDir()
	if _, err := Receive(t.Context(), &d, dir, impatient()); err == nil {
		t.Error("a file above all limits")
	}
	checkEmpty(t, dir)
	if _, err := Delete(t.Context(), sent.Recipients[0], impatient()); err != ErrParty {
		t.Errorf("a recipient's description deletes: %v", err)
	}
}

// TestReceiveHostileName: a name that a stranger chose stays in the directory, and replaces nothing.
func TestReceiveHostileName(t *testing.T) {
	_, to := honest(t, 1)
	dir := filepath.Join(t.TempDir(), "inner")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	body := content(10)
	for _, c := range []struct{ name, want string }{
		{"../../evil", "evil"},
		{`..\..\evil`, "evil_1"},
		{"/etc/passwd", "passwd"},
		{".bashrc", "bashrc"},
		{"a\x1b[31mb", "a[31mb"},
		{"photo\u202egpj.exe", "photogpj.exe"},
		{"..", "file"},
		{"", "file_1"},
	} {
		s := &sending{options: impatient().withDefaults(), recipients: 1, sizes: []uint32{64 << 10}}
		sent, err := s.send(t.Context(), source(len(body)), file.Header{Name: c.name}, to)
		if err != nil {
			t.Fatal(err)
		}
		if path := receive(t, sent.Recipients[0], dir, body); path != filepath.Join(dir, c.want) {
			t.Errorf("%q became %q", c.name, path)
		}
	}
	if names := entries(t, filepath.Dir(dir)); len(names) != 1 {
		t.Errorf("%q are outside", names)
	}
}

// TestReceiveFullDisk: a disk that fills up is told as that, and what was received stays.
func TestReceiveFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no device that is always full")
	}
	_, to := honest(t, 1)
	body := content(130_000)
	d := send(t, "file", body, to, 1).Recipients[0]
	dir := t.TempDir()
	w, err := openWorkdir(dir, d.Digest[:])
	if err != nil {
		t.Fatal(err)
	}
	w.close()
	for _, name := range []string{"chunk-2.part", "file"} {
		if err := os.Symlink("/dev/full", filepath.Join(w.path, name)); err != nil {
			t.Fatal(err)
		}
		_, err = Receive(t.Context(), d, dir, impatient())
		if _, relay := errors.AsType[*RelayError](err); relay || !errors.Is(err, syscall.ENOSPC) || !Resumes(err) {
			t.Errorf("%s: got %v", name, err)
		}
		checkText(t, err)
		_ = os.Remove(filepath.Join(w.path, name))
	}
	receive(t, d, dir, body)
}

// TestReceiveWithoutSpace: a disk without enough room is found out before anything is downloaded.
func TestReceiveWithoutSpace(t *testing.T) {
	w := &workdir{path: t.TempDir(), free: func(string) (int64, error) { return 1000, nil }}
	if err := w.checkSpace(500, 501); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("too little space: %v", err)
	}
	if err := w.checkSpace(500, 500); err != nil {
		t.Errorf("enough space: %v", err)
	}
	w.free = func(string) (int64, error) { return 0, syscall.ENOSYS }
	if err := w.checkSpace(500, 501); err != nil {
		t.Errorf("unknown space: %v", err)
	}
	if free, err := freeSpace(w.path); err != nil || free <= 0 {
		t.Errorf("%d bytes are free: %v", free, err)
	}
}

// TestReceiveNowhere: a directory that cannot be written to is told without its name.
func TestReceiveNowhere(t *testing.T) {
	_, to := honest(t, 1)
	d := send(t, "file", content(1000), to, 1).Recipients[0]
	_, err := Receive(t.Context(), d, filepath.Join(t.TempDir(), "missing"), impatient())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	checkText(t, err)
}

// TestReceiveTwice: two at a time do not disturb each other.
func TestReceiveTwice(t *testing.T) {
	var d *description.Description
	dir := t.TempDir()
	_, to := relays(t, on("FGET", func(w http.ResponseWriter, r *clienttest.Request) bool {
		if _, err := Receive(context.Background(), d, dir, impatient()); err != ErrBusy {
			t.Errorf("the second got %v", err)
		}
		return false
	}))
	body := content(1000)
	d = send(t, "file", body, to, 1).Recipients[0]
	receive(t, d, dir, body)
}
