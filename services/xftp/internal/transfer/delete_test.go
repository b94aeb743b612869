package transfer

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/xftp"
)

// TestDelete: what is gone counts as that, and the second time everything is.
func TestDelete(t *testing.T) {
	_, to := honest(t, 2)
	sent := send(t, "file", content(9*mib), to, 1)
	n := len(sent.Sender.Chunks)
	first := *sent.Sender
	first.Chunks = first.Chunks[:1]
	for _, c := range []struct{ deleted, gone int }{{1, 0}, {n - 1, 1}, {0, n}} {
		got, err := Delete(t.Context(), &first, impatient())
		if err != nil || got != (Deleted{Deleted: c.deleted, Gone: c.gone}) {
			t.Errorf("got %+v, %v, want %+v", got, err, c)
		}
		first = *sent.Sender
	}
}

// TestDeleteGoesOn: a relay that is away is tried as often as one chunk is, and the chunks of the others are deleted.
func TestDeleteGoesOn(t *testing.T) {
	var tries atomic.Int64
	all, to := relays(t, clienttest.Options{}, on("FDEL", func(http.ResponseWriter, *clienttest.Request) bool {
		tries.Add(1)
		panic(http.ErrAbortHandler)
	}))
	sent := send(t, "file", content(9*mib), to, 1)
	left := all[1].Chunks()
	o := impatient()
	o.Connections = 1
	got, err := Delete(t.Context(), sent.Sender, o)
	if want := (Deleted{Deleted: len(sent.Sender.Chunks) - left, Failed: left}); got != want || all[0].Chunks() != 0 {
		t.Errorf("got %+v, want %+v; %d chunks are left", got, want, all[0].Chunks())
	}
	if e, ok := errors.AsType[*RelayError](err); !ok || !e.Server.Equal(to[1]) {
		t.Errorf("got %v", err)
	}
	if n := tries.Load(); n != knownAttempts {
		t.Errorf("%d attempts", n)
	}
}

// TestDeleteRefused: a relay that cannot delete one chunk is asked for the next.
func TestDeleteRefused(t *testing.T) {
	var tries atomic.Int64
	_, to := relays(t, on("FDEL", func(w http.ResponseWriter, r *clienttest.Request) bool {
		if tries.Add(1) > 1 {
			return false
		}
		clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrFileIO})
		return true
	}))
	sent := send(t, "file", content(9*mib), to, 1)
	n := len(sent.Sender.Chunks)
	got, err := Delete(t.Context(), sent.Sender, impatient())
	if !errors.Is(err, xftp.ErrFileIO) || got != (Deleted{Deleted: n - 1, Failed: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDeleteStopped(t *testing.T) {
	_, to := honest(t, 1)
	sent := send(t, "file", content(1000), to, 1)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if got, err := Delete(ctx, sent.Sender, impatient()); !errors.Is(err, context.Canceled) || got.Failed != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}
