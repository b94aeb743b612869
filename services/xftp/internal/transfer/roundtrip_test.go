package transfer

import (
	"path/filepath"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/description"
)

const mib = 1 << 20

// TestRoundTrip sends and receives files of sizes where the number of chunks, or what their last one holds, changes.
//
// Spec: xftp.md 12.2
func TestRoundTrip(t *testing.T) {
	const name = "some file.txt"
	overhead := 24 + 2 + len(name) // what is encrypted besides the file
	all, to := honest(t, 1)
	for _, size := range []int{
		0, 1, 1023, 1024, 1025,
		65536 - overhead, 65537 - overhead, 196608 - overhead, 196609 - overhead, 262145 - overhead,
		786432 - overhead, 786433 - overhead, mib - overhead, mib + 1 - overhead,
		3*mib - overhead, 3*mib + 1 - overhead, 4*mib - overhead, 4*mib + 1 - overhead,
	} {
		body := content(size)
		sent := send(t, name, body, to, 1)
		dir := t.TempDir()
		path := receive(t, sent.Recipients[0], dir, body)
		if filepath.Base(path) != name || len(entries(t, dir)) != 1 {
			t.Fatalf("%d bytes: received %q, with %q there", size, path, entries(t, dir))
		}
		deleted, err := Delete(t.Context(), sent.Sender, impatient())
		if err != nil || deleted != (Deleted{Deleted: len(sent.Sender.Chunks)}) {
			t.Fatalf("%d bytes: deleted %+v, %v", size, deleted, err)
		}
		if n := all[0].Chunks(); n != 0 {
			t.Fatalf("%d bytes: %d chunks are left", size, n)
		}
	}
}

// TestSeventeenMiB is the file that apps are tested with, for two recipients.
//
// Spec: xftp.md 18.3
func TestSeventeenMiB(t *testing.T) {
	_, to := honest(t, 1)
	body := content(17 * mib)
	sent := send(t, "testfile", body, to, 2)
	d := sent.Recipients[0]
	var sizes []uint32
	for _, c := range d.Chunks {
		sizes = append(sizes, c.Size/mib)
		if len(c.Replicas) != 1 {
			t.Errorf("%d replicas", len(c.Replicas))
		}
	}
	if want := []uint32{4, 4, 4, 4, 1, 1}; len(sizes) != 6 || [6]uint32(sizes) != [6]uint32(want) {
		t.Errorf("chunks of %v MiB, want %v", sizes, want)
	}
	if d.Size != 18*mib || d.ChunkSize != 4*mib || sent.Sender.Party != description.Sender || d.Party != description.Recipient {
		t.Errorf("described as %d bytes in chunks of %d for a %v", d.Size, d.ChunkSize, d.Party)
	}
	dir := t.TempDir()
	for _, d := range sent.Recipients {
		receive(t, reparse(t, d), dir, body)
	}
	if got := entries(t, dir); len(got) != 2 || got[0] != "testfile" || got[1] != "testfile_1" {
		t.Errorf("files %q", got)
	}
}

// reparse returns a description as its reader gets it.
func reparse(t *testing.T, d *description.Description) *description.Description {
	t.Helper()
	parsed, err := description.Parse(d.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// TestTwoRelays: chunks are on both, one of which has a password.
func TestTwoRelays(t *testing.T) {
	all, to := relays(t, clienttest.Options{}, clienttest.Options{Password: "secret"})
	body := content(9 * mib)
	sent := send(t, "file", body, to, 1)
	if a, b := all[0].Chunks(), all[1].Chunks(); a+b != len(sent.Sender.Chunks) || a-b > 1 || b-a > 1 {
		t.Errorf("%d and %d chunks", a, b)
	}
	receive(t, reparse(t, sent.Recipients[0]), t.TempDir(), body)
	if _, err := Delete(t.Context(), reparse(t, sent.Sender), impatient()); err != nil || all[0].Chunks()+all[1].Chunks() != 0 {
		t.Errorf("%d and %d chunks are left: %v", all[0].Chunks(), all[1].Chunks(), err)
	}
}

// TestManyRecipients: more than one request has room for. Each has a description of their own.
//
// Spec: xftp.md 18.3
func TestManyRecipients(t *testing.T) {
	_, to := honest(t, 1)
	body := content(70_000)
	sent := send(t, "file", body, to, 500)
	if len(sent.Recipients) != 500 {
		t.Fatalf("%d descriptions", len(sent.Recipients))
	}
	for _, n := range []int{1, 200, 201, 300, 500} {
		receive(t, reparse(t, sent.Recipients[n-1]), t.TempDir(), body)
	}
	seen := make(map[string]bool)
	for _, d := range sent.Recipients {
		seen[string(d.Chunks[0].Replicas[0].ID)] = true
	}
	if len(seen) != 500 {
		t.Errorf("%d ids of 500", len(seen))
	}
}
