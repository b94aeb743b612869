package transfer

import (
	"crypto/sha256"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/auth"
	"sotto/shared/description"
	"sotto/shared/xftp"
)

// heap watches the memory that is in use while a transfer goes on.
type heap struct {
	before, most uint64
	next         int64
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// watch measures every so many bytes.
func (h *heap) watch(done, _ int64) {
	if done >= h.next {
		h.most = max(h.most, inUse())
		h.next = done + 16*mib
	}
}

// check fails the test if more was in use than the bound, in bytes.
func (h *heap) check(t *testing.T, bound uint64) {
	t.Helper()
	grown := h.most - min(h.most, h.before)
	t.Logf("%.1f MiB more than before", float64(grown)/mib)
	if grown > bound {
		t.Errorf("%d bytes more than before, at most %d are allowed", grown, bound)
	}
}

// generated is a file that exists nowhere.
type generated struct{}

func (generated) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Sizes of what memory is measured with, in MiB. The race detector makes encryption slow.
var sentSize, receivedSize = 256, 128

func init() {
	if raceEnabled {
		sentSize, receivedSize = 64, 32
	}
}

// TestSendMemory: a large file, sent to a relay in the same process that keeps nothing, takes the buffers of the
// chunks under way and those of the connections.
func TestSendMemory(t *testing.T) {
	_, to := relays(t, on("FPUT", func(w http.ResponseWriter, r *clienttest.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		clienttest.Answer(w, r, xftp.OK{})
		return true
	}))
	h := &heap{before: inUse()}
	o := impatient()
	o.Progress = h.watch
	size := int64(sentSize) * mib
	sent, err := Send(t.Context(), Source{Name: "file", Size: size, Reader: io.LimitReader(generated{}, size)}, to, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(sent.Sender.Chunks) < sentSize/4 {
		t.Errorf("%d chunks", len(sent.Sender.Chunks))
	}
	h.check(t, 40*mib)
}

// TestReceiveMemory: many chunks, each with the same content, are received; together they are no file.
func TestReceiveMemory(t *testing.T) {
	chunk := make([]byte, 4*mib)
	digest := sha256.Sum256(chunk)
	var gets atomic.Int64
	_, to := relays(t, on("FGET", func(w http.ResponseWriter, r *clienttest.Request) bool {
		gets.Add(1)
		file, sealed := clienttest.Seal(r, chunk)
		clienttest.Answer(w, r, file)
		_, _ = w.Write(sealed)
		return true
	}))
	d := &description.Description{ChunkSize: 4 * mib}
	for d.Size < int64(receivedSize)*mib {
		d.Size += 4 * mib
		d.Chunks = append(d.Chunks, description.Chunk{Size: 4 * mib, Digest: digest, Replicas: []description.Replica{
			{Server: to[0], ID: make([]byte, xftp.IDSize), Key: auth.NewEd25519()},
		}})
	}
	h := &heap{before: inUse()}
	o := impatient()
	o.Progress = h.watch
	dir := t.TempDir()
	if _, err := Receive(t.Context(), d, dir, o); err == nil || os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
	if gets.Load() != int64(receivedSize)/4 {
		t.Errorf("%d downloads", gets.Load())
	}
	// The relay in this process has each body twice, for each of the connections; the rest are their windows.
	h.check(t, uint64(defaultConnections*(2*4+4)*mib))
}
