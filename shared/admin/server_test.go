package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

var nopLog = zerolog.Nop()

// patient bounds what tests wait for.
const patient = time.Minute

// logged is a log that a test reads while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// started serves handlers at a path, for the time of the test.
func started(t *testing.T, handlers map[string]Handler) (path string, log *logged) {
	t.Helper()
	path, log = socketPath(t), new(logged)
	s := New(listen(t, path), handlers, func(error) string { return "cause" }, zerolog.New(log))
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patient)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return path, log
}

const secret = "c2VjcmV0LWlkLW9mLWEtcXVldWU"

var handlers = map[string]Handler{
	"echo": func(_ context.Context, in json.RawMessage) (any, error) {
		var c Change
		err := Decode(in, &c)
		return c, err
	},
	"missing": func(context.Context, json.RawMessage) (any, error) { return nil, fmt.Errorf("find: %w", ErrNotFound) },
	"refused": func(context.Context, json.RawMessage) (any, error) { return nil, Refuse("not today") },
	"failing": func(context.Context, json.RawMessage) (any, error) { return nil, errors.New("row " + secret) },
	"panics":  func(context.Context, json.RawMessage) (any, error) { panic(secret) },
}

func TestCall(t *testing.T) {
	path, log := started(t, handlers)
	want := Change{ID: secret, Kind: "link", Reason: "spam", Notice: true, TTL: 60}
	answer, err := Call(t.Context(), path, "echo", want)
	var got Change
	if err != nil || json.Unmarshal(answer, &got) != nil || got != want {
		t.Errorf("echo: %s, %v", answer, err)
	}
	for command, says := range map[string]string{
		"missing": "not found", "refused": "not today", "failing": "it did not work: cause", "panics": "the relay failed",
		"unknown": "does not know this command",
	} {
		_, err := Call(t.Context(), path, command, Change{ID: secret})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", command, err)
		}
		if errors.Is(err, ErrNotFound) != (command == "missing") {
			t.Errorf("%s is not found: %v", command, err)
		}
	}
	if said := log.String(); strings.Contains(said, secret) || !strings.Contains(said, "bug") {
		t.Errorf("the log: %s", said)
	}
}

// What no command sends does no harm, and is not logged.
func TestGarbage(t *testing.T) {
	path, log := started(t, handlers)
	for name, garbage := range map[string]string{
		"nothing":   "",
		"bytes":     "\x00\xff" + secret,
		"no HTTP":   secret + "\r\n\r\n",
		"a path":    "GET /" + secret + "/../v1/echo HTTP/1.1\r\nHost: x\r\n\r\n",
		"no JSON":   "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n}{]",
		"a header":  "GET /v1/echo HTTP/1.1\r\nX: " + strings.Repeat(secret, 1000),
		"two hosts": "GET /v1/echo HTTP/1.1\r\nHost: x\r\nHost: " + secret + "\r\n\r\n",
		"a body":    "POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 2*maxRequest),
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patient))
		_, _ = io.WriteString(conn, garbage)
		_ = conn.(*net.UnixConn).CloseWrite()
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if bytes.Contains(answer, []byte("200 OK")) {
			t.Errorf("%s is answered with %s", name, answer)
		}
		if _, err := Call(t.Context(), path, "echo", Change{}); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	if said := log.String(); said != "" {
		t.Errorf("the log: %s", said)
	}
}

// Connections beyond the bound wait until there is room.
func TestManyConnections(t *testing.T) {
	release := make(chan struct{})
	var mu sync.Mutex
	now, most := 0, 0
	arrived := make(chan struct{}, 3*maxConnections)
	path, _ := started(t, map[string]Handler{"wait": func(context.Context, json.RawMessage) (any, error) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		arrived <- struct{}{}
		<-release
		mu.Lock()
		now--
		mu.Unlock()
		return Done{true}, nil
	}})
	var calls sync.WaitGroup
	for range 3 * maxConnections {
		calls.Go(func() {
			if _, err := Call(t.Context(), path, "wait", nil); err != nil {
				t.Error(err)
			}
		})
	}
	for range maxConnections {
		<-arrived
	}
	close(release)
	calls.Wait()
	if most > maxConnections {
		t.Errorf("%d requests at a time", most)
	}
}

// The socket is gone: the command says so, and the relay still stops in order.
func TestSocketGone(t *testing.T) {
	path, _ := started(t, handlers)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Call(t.Context(), path, "echo", nil); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) {
		t.Errorf("no socket: %v", err)
	}
}

func TestNobodyAnswers(t *testing.T) {
	path := socketPath(t)
	s := listen(t, path)
	s.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = s.Close()
	if _, err := Call(t.Context(), path, "echo", nil); !errors.Is(err, ErrNotRunning) {
		t.Errorf("nobody listens: %v", err)
	}
}

// What listens there is no relay.
func TestAnotherServer(t *testing.T) {
	path := socketPath(t)
	for name, handler := range map[string]http.HandlerFunc{
		"a page":   func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"an error": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		},
	} {
		s := listen(t, path)
		server := http.Server{Handler: handler}
		go func() { _ = server.Serve(s) }()
		if _, err := Call(t.Context(), path, "echo", nil); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		_ = server.Close()
		_ = s.Close()
	}
}

// A server that never served gives its path back.
func TestShutdownBeforeServe(t *testing.T) {
	path := socketPath(t)
	s := New(listen(t, path), handlers, func(error) string { return "" }, nopLog)
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(); err != nil {
		t.Fatal(err)
	}
	listen(t, path)
}
