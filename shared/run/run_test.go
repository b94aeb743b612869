package run_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sotto/shared/address"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/transport"
)

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		code int
		says string
	}{
		"success":            {nil, run.ExitOK, ""},
		"failure":            {errors.New("the disk is full"), run.ExitError, "program: the disk is full\n"},
		"told already":       {errors.Join(run.ErrSaid, errors.New("the disk is full")), run.ExitError, ""},
		"mistake":            {settings.Bad("SMP_X is wrong"), run.ExitUsage, "program: SMP_X is wrong\n"},
		"mistake with cause": {errors.Join(settings.Bad("SMP_X is wrong")), run.ExitUsage, "program: SMP_X is wrong\n"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			dispatch := func(context.Context, string, []string, io.Writer, io.Writer) error { return c.err }
			if got := run.Run(t.Context(), "program", dispatch, nil, io.Discard, &stderr); got != c.code || stderr.String() != c.says {
				t.Errorf("exit code %d and %q, want %d and %q", got, &stderr, c.code, c.says)
			}
		})
	}
}

func TestServingIsTheDefault(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{{nil, "serve"}, {[]string{"try", "it", "out"}, "try it out"}} {
		dispatch := func(_ context.Context, command string, args []string, _, _ io.Writer) error {
			if got := strings.Join(append([]string{command}, args...), " "); got != c.want {
				t.Errorf("%q was run for %q", got, c.args)
			}
			return nil
		}
		run.Run(t.Context(), "program", dispatch, c.args, io.Discard, io.Discard)
	}
}

func TestPortInUseNamesTheSetting(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = run.Listen(t.Context(), "SMP_LISTEN", []string{"127.0.0.1:0", taken.Addr().String()}, transport.Limits{})
	var mistake settings.Error
	if !errors.As(err, &mistake) || !strings.Contains(err.Error(), "SMP_LISTEN") || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port in use gives %v", err)
	}
}

// relay serves until its listener is closed.
type relay struct{ shut chan struct{} }

func (r *relay) Serve(ln net.Listener) error {
	for {
		if _, err := ln.Accept(); err != nil {
			return errors.New("accept failed")
		}
	}
}
func (r *relay) Connections() int               { return 0 }
func (r *relay) Shutdown(context.Context) error { close(r.shut); return nil }

func TestServeEndsWithItsContextItsListenersAndItsDatabase(t *testing.T) {
	errLost := errors.New("lost")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan struct{})
	close(closed)
	for name, c := range map[string]struct {
		ctx   context.Context
		lost  chan struct{}
		close bool
		want  string
	}{
		"context":  {canceled, nil, false, ""},
		"database": {t.Context(), closed, false, "lost"},
		"listener": {t.Context(), nil, true, "accept failed"},
	} {
		t.Run(name, func(t *testing.T) {
			listeners, err := run.Listen(t.Context(), "SMP_LISTEN", []string{"127.0.0.1:0"}, transport.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if c.close {
				listeners.Close()
			}
			r := &relay{shut: make(chan struct{})}
			got := ""
			if err := (run.Program{Relay: r, Listeners: listeners, Lost: c.lost, ErrLost: errLost, Log: zerolog.Nop()}).Serve(c.ctx); err != nil {
				got = err.Error()
			}
			<-r.shut // or the test hangs: it was not shut down
			if got != c.want {
				t.Errorf("ended with %q, want %q", got, c.want)
			}
		})
	}
}

// readiness notes what it is told, and whether a port is still open then.
type readiness struct {
	port string
	told []string
}

func (r *readiness) Serving()  { r.note("serving") }
func (r *readiness) Draining() { r.note("draining") }

func (r *readiness) note(what string) {
	conn, err := net.Dial("tcp", r.port)
	if err != nil {
		what += " without a port"
	} else {
		_ = conn.Close()
	}
	r.told = append(r.told, what)
}

func TestReadinessEndsBeforeTheListeners(t *testing.T) {
	listeners, err := run.Listen(t.Context(), "SMP_LISTEN", []string{"127.0.0.1:0"}, transport.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ready := &readiness{port: listeners.String()}
	r := &relay{shut: make(chan struct{})}
	if err := (run.Program{Relay: r, Listeners: listeners, Readiness: ready, Log: zerolog.Nop()}).Serve(ctx); err != nil {
		t.Fatal(err)
	}
	if want := []string{"serving", "draining"}; !slices.Equal(ready.told, want) {
		t.Errorf("told %q, want %q", ready.told, want)
	}
}

func TestAddressCommand(t *testing.T) {
	load := func() (run.Advertised, error) {
		return run.Advertised{
			Server:   address.Server{Scheme: address.XFTP, Hosts: []address.Host{"xftp.example.org"}},
			Identity: settings.Identity{DataDir: t.TempDir()}, Password: "s3cret", Scan: "somewhere",
		}, nil
	}
	a, err := load()
	if err != nil {
		t.Fatal(err)
	}
	load = func() (run.Advertised, error) { return a, nil }
	var out bytes.Buffer
	if err := run.Address([]string{"--plain"}, &out, load); err == nil {
		t.Error("there is an address without an identity")
	}
	if err := run.Init(&out, load); err != nil {
		t.Fatal(err)
	}
	out.Reset()
	if err := run.Address([]string{"--plain", "--no-password"}, &out, load); err != nil || strings.Contains(out.String(), "s3cret") {
		t.Errorf("printed %q, %v", &out, err)
	}
	out.Reset()
	if err := run.Address(nil, &out, load); err != nil || !strings.Contains(out.String(), ":s3cret@") || !strings.Contains(out.String(), "somewhere") {
		t.Errorf("printed %q, %v", &out, err)
	}
}
