package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sotto/services/xftp/internal/client/clienttest"
	"sotto/shared/address"
	"sotto/shared/file"
	"sotto/shared/xftp"
)

// source is a file of n bytes.
func source(n int) Source {
	return Source{Name: "file", Size: int64(n), Reader: bytes.NewReader(content(n))}
}

// on returns a hook that do answers requests of one step with, if it returns true.
func on(step string, do func(w http.ResponseWriter, r *clienttest.Request) bool) clienttest.Options {
	return clienttest.Options{Hook: func(w http.ResponseWriter, r *clienttest.Request) bool {
		return r.Step == step && do(w, r)
	}}
}

// TestSendMetReset: the relay goes away in the middle of an upload, cannot be reached for a while, and is there again.
func TestSendMetReset(t *testing.T) {
	var all []*clienttest.Relay
	var puts, refused atomic.Int64
	all, to := relays(t, on("FPUT", func(_ http.ResponseWriter, r *clienttest.Request) bool {
		if puts.Add(1) == 3 {
			_, _ = io.CopyN(io.Discard, r.Body, 300_000)
			refused.Store(4)
			all[0].Disconnect()
		}
		return false
	}))
	o := impatient()
	o.Client.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
		if refused.Add(-1) >= 0 {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	progress := newProgress(t, &o)
	body := content(17 * mib)
	sent, err := Send(t.Context(), Source{Name: "file", Size: int64(len(body)), Reader: bytes.NewReader(body)}, to, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	progress.complete(sent.Sender.Size)
	// A chunk whose registration was not answered, because of the cut, was registered once more.
	if n := all[0].Chunks(); n < len(sent.Sender.Chunks) {
		t.Errorf("%d chunks for %d", n, len(sent.Sender.Chunks))
	}
	receive(t, sent.Recipients[0], t.TempDir(), body)
}

// progress checks what is reported.
type progress struct {
	t           *testing.T
	done, total int64
	calls       int
	active      atomic.Bool
}

// newProgress makes a transfer report to a check.
func newProgress(t *testing.T, o *Options) *progress {
	p := &progress{t: t, done: -1}
	o.Progress = func(done, total int64) {
		if p.active.Swap(true) {
			t.Error("reports overlap")
		}
		if done <= p.done || done > total || p.calls > 0 && total != p.total {
			t.Errorf("%d of %d follows %d of %d", done, total, p.done, p.total)
		}
		p.done, p.total = done, total
		p.calls++
		p.active.Store(false)
	}
	return p
}

// complete fails the test unless the last report was of everything.
func (p *progress) complete(total int64) {
	p.t.Helper()
	if p.done != total || p.total != total || p.calls < 2 {
		p.t.Errorf("%d of %d is reported after %d calls, want %d", p.done, p.total, p.calls, total)
	}
}

// TestSendGivesUp: a relay that cuts every upload, and one that refuses it, end the transfer and keep nothing.
func TestSendGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		hook func(http.ResponseWriter, *clienttest.Request) bool
		want error
		puts int64
	}{
		"cut": {func(http.ResponseWriter, *clienttest.Request) bool { panic(http.ErrAbortHandler) }, nil, knownAttempts},
		"quota": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrQuota})
			return true
		}, xftp.ErrQuota, 1},
		"early": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrFileIO})
			return true
		}, xftp.ErrFileIO, 1},
		"timeout": {func(w http.ResponseWriter, r *clienttest.Request) bool {
			_, _ = io.Copy(io.Discard, r.Body)
			clienttest.Answer(w, r, xftp.ERR{Err: xftp.ErrTimeout})
			return true
		}, xftp.ErrTimeout, knownAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			var puts atomic.Int64
			all, to := relays(t, on("FPUT", func(w http.ResponseWriter, r *clienttest.Request) bool {
				puts.Add(1)
				return c.hook(w, r)
			}))
			_, err := Send(t.Context(), source(1000), to, 1, impatient())
			relayError, ok := errors.AsType[*RelayError](err)
			if !ok || c.want != nil && !errors.Is(err, c.want) || !relayError.Server.Equal(to[0]) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			checkText(t, err)
			if n := puts.Load(); n != c.puts {
				t.Errorf("%d uploads, want %d", n, c.puts)
			}
			if n := all[0].Chunks(); n != 0 {
				t.Errorf("%d chunks are left", n)
			}
		})
	}
}

// TestSendRefused: a relay that takes no files is not left out for another, since somebody has to mend the password.
func TestSendRefused(t *testing.T) {
	_, to := relays(t, clienttest.Options{Password: "secret"}, clienttest.Options{Password: "secret"})
	to[0].Password, to[1].Password = nil, address.Password("wrong")
	if _, err := Send(t.Context(), source(1000), to, 1, impatient()); !errors.Is(err, xftp.ErrAuth) {
		t.Errorf("got %v", err)
	}
}

// TestSendLeavesOut: chunks of a relay that is not there, or goes away, are made on the others.
func TestSendLeavesOut(t *testing.T) {
	all, to := relays(t, clienttest.Options{}, on("FNEW", func(http.ResponseWriter, *clienttest.Request) bool {
		panic(http.ErrAbortHandler)
	}))
	away := to[0]
	away.Hosts = []address.Host{"127.0.0.9"}
	onion := to[0]
	onion.Hosts = []address.Host{"abcdefghijklmnop.onion"}
	stranger := to[0]
	stranger.Fingerprint = make([]byte, 32)
	to = append(to, away, onion, stranger)
	o := impatient()
	o.Connections = 1 // chunks one after the other come to each relay; side by side, a few may all come to the honest one
	var left []address.Server
	o.LeftOut = func(relay address.Server, err error) { left = append(left, relay) }
	sent, err := Send(t.Context(), source(9*mib), to, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) != 4 {
		t.Errorf("%d relays are left out", len(left))
	}
	if all[0].Chunks() != len(sent.Sender.Chunks) {
		t.Errorf("%d chunks of %d", all[0].Chunks(), len(sent.Sender.Chunks))
	}
	receive(t, sent.Recipients[0], t.TempDir(), content(9*mib))

	left = nil
	_, err = Send(t.Context(), source(9*mib), to[2:], 1, o)
	if _, ok := errors.AsType[*RelayError](err); !ok || len(left) != 2 {
		t.Errorf("got %v with %d relays left out", err, len(left))
	}
}

// TestSendStopped: after an interruption in the middle nothing is left on the relays.
func TestSendStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var puts atomic.Int64
	hook := on("FPUT", func(http.ResponseWriter, *clienttest.Request) bool {
		if puts.Add(1) == 4 {
			stop()
		}
		return false
	})
	all, to := relays(t, hook, hook)
	before := runtime.NumGoroutine()
	_, err := Send(ctx, source(30*mib), to, 300, impatient())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := all[0].Chunks() + all[1].Chunks(); n != 0 {
		t.Errorf("%d chunks are left", n)
	}
	for _, r := range all {
		r.Disconnect()
	}
	if after := runtime.NumGoroutine(); after > before+20 { // HTTP/2 takes a moment to end
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// TestSendChanged: a file that is not as long as it was said to be is not sent.
func TestSendChanged(t *testing.T) {
	all, to := honest(t, 1)
	failing := errors.New("failing")
	for name, c := range map[string]struct {
		r    io.Reader
		want error
	}{
		"shorter": {bytes.NewReader(content(5*mib - 1)), ErrChanged},
		"empty":   {strings.NewReader(""), ErrChanged},
		"longer":  {bytes.NewReader(content(5*mib + 1)), ErrChanged},
		"failing": {io.MultiReader(bytes.NewReader(content(4*mib)), &failingReader{failing}), failing},
	} {
		_, err := Send(t.Context(), Source{Name: "file", Size: 5 * mib, Reader: c.r}, to, 1, impatient())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := all[0].Chunks(); n != 0 {
			t.Errorf("%s: %d chunks are left", name, n)
		}
	}
}

type failingReader struct{ err error }

func (r *failingReader) Read([]byte) (int, error) { return 0, r.err }

func TestSendLimits(t *testing.T) {
	_, to := honest(t, 1)
	if _, err := Send(t.Context(), Source{Size: file.MaxSize + 1}, to, 1, impatient()); !errors.Is(err, file.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	for _, n := range []int{0, MaxRecipients + 1} {
		if _, err := Send(t.Context(), source(1), to, n, impatient()); err != ErrRecipients {
			t.Errorf("%d recipients: %v", n, err)
		}
	}
}
