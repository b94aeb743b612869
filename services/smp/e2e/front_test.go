package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sotto/shared/address"
	"sotto/shared/pg/pgtest"
	"sotto/shared/relay"
)

// buildFiles compiles the file relay once for all tests.
var buildFiles = sync.OnceValues(func() (string, error) {
	if _, err := build(); err != nil { // which makes the directory
		return "", err
	}
	return relay.Build(context.Background(), address.XFTP, buildDir)
})

// stack is both relays behind one front door.
type stack struct {
	messages, files *relay.Relay
	filesBinary     string
	at              string // host:port of the front door
	plain           string // host:port of plain HTTP
}

// newStack makes both relays, with one identity unless apart says otherwise, and with these names.
func newStack(t *testing.T, apart bool, messagesHost, filesHost string) *stack {
	t.Helper()
	binary, err := buildFiles()
	must(t, "build", err)
	s := &stack{filesBinary: binary, at: "127.0.0.1:" + freePort(t), plain: "127.0.0.1:" + freePort(t)}
	pages, inner := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	identity, other := filepath.Join(t.TempDir(), "identity"), filepath.Join(t.TempDir(), "other")
	if !apart {
		other = identity
	}
	s.files, err = relay.New(address.XFTP, binary, other, pgtest.Open(t), "XFTP_HOST="+filesHost, "XFTP_INNER_LISTEN="+inner,
		"XFTP_PAGES_FROM=http://"+pages, "XFTP_PAGES_HOST="+messagesHost, "XFTP_ACME=false")
	must(t, "make the file relay", err)
	s.messages = newRelay(t, newDatabase(t), "SMP_DATA_DIR="+identity, "SMP_HOST="+messagesHost, "SMP_FRONT_LISTEN="+s.at,
		"SMP_FILE_RELAY=127.0.0.1:"+s.files.Port, "SMP_FILE_RELAY_INNER="+inner, "SMP_FILE_HOST="+filesHost,
		"SMP_PAGES_LISTEN="+pages, "SMP_HTTP_LISTEN="+s.plain, "SMP_ACME=false")
	t.Cleanup(func() {
		if err := s.files.Kill(); err != nil {
			t.Errorf("end the file relay: %v", err)
		}
		checkSound(t, s.files)
		if t.Failed() {
			t.Logf("the file relay's output:\n%s%s", s.files.Stdout.String(), tail(s.files.Stderr.String()))
		}
	})
	return s
}

// startStack starts both, and waits until the front door has seen the file relay.
func startStack(t *testing.T, s *stack) {
	t.Helper()
	start(t, s.files)
	start(t, s.messages)
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	_, err := s.messages.Stderr.WaitLine(ctx, 0, "the file relay is here")
	must(t, "the front door sees the file relay", err)
}

func freePort(t *testing.T) string {
	t.Helper()
	port, err := relay.FreePort()
	must(t, "port", err)
	return port
}

// through is the address of a relay by way of the front door.
func (s *stack) through(t *testing.T, r *relay.Relay) string {
	t.Helper()
	server, err := r.Server()
	must(t, "address", err)
	fingerprint, _, _ := strings.Cut(server.String(), "@")
	return fingerprint + "@" + s.at
}

// tryFiles runs `xftp try`.
func (s *stack) tryFiles(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(bounded(t), s.filesBinary, append([]string{"try"}, args...)...)
	cmd.Env = relay.Environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestFrontDoor tests both relays through one port, by every road that clients take.
func TestFrontDoor(t *testing.T) {
	relayBinary(t)
	s := newStack(t, false, "smp.example", "xftp.example")
	startStack(t, s)
	for _, road := range []string{"", "--web-port", "--old"} {
		t.Run("messages "+road, func(t *testing.T) {
			command(t, nil, appendRoad("try", road, s.through(t, s.messages))...).expect(t, exitOK, "The relay works")
		})
		t.Run("files "+road, func(t *testing.T) {
			out, err := s.tryFiles(t, appendRoad("", road, s.through(t, s.files))...)
			if err != nil || !strings.Contains(out, "The relay works") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	t.Run("pages", func(t *testing.T) {
		expectPage(t, s.at, "smp.example", "smp://")
		expectPage(t, s.at, "xftp.example", "xftp://")
	})
	t.Run("plain HTTP", func(t *testing.T) {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		request, err := http.NewRequestWithContext(bounded(t), http.MethodGet, "http://"+s.plain+"/a", nil)
		must(t, "request", err)
		for _, host := range []string{"smp.example", "xftp.example"} {
			request.Host = host
			resp, err := client.Do(request)
			must(t, "get", err)
			_ = resp.Body.Close()
			if to := resp.Header.Get("Location"); to != "https://"+host+"/a" {
				t.Errorf("%s, led to %q", resp.Status, to)
			}
		}
	})
	t.Run("the file relay is killed", func(t *testing.T) {
		must(t, "kill", s.files.Kill())
		if out, err := s.tryFiles(t, s.through(t, s.files)); err == nil {
			t.Errorf("it works without the relay:\n%s", out)
		}
		command(t, nil, "try", s.through(t, s.messages)).expect(t, exitOK, "The relay works")
		start(t, s.files)
		out, err := s.tryFiles(t, s.through(t, s.files))
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestFrontDoorIdentities tests relays with an identity each: only what cannot be told apart is lost, and that is said.
func TestFrontDoorIdentities(t *testing.T) {
	relayBinary(t)
	s := newStack(t, true, "relay.example", "relay.example")
	startStack(t, s)
	if len(s.messages.Stderr.Lines(0, "an identity of its own")) != 1 {
		t.Error("it is not said")
	}
	command(t, nil, "try", "--web-port", s.through(t, s.messages)).expect(t, exitOK, "The relay works")
	out, err := s.tryFiles(t, s.through(t, s.files))
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// One name for both: its pages come from both.
	expectPage(t, s.at, "relay.example", "smp://")
	expectPage(t, s.at, "relay.example/files", "xftp://")
	expectPage(t, s.at, "relay.example/robots.txt", "")
}

func appendRoad(command, road, address string) []string {
	var args []string
	for _, arg := range []string{command, road, address} {
		if arg != "" {
			args = append(args, arg)
		}
	}
	return args
}

// expectPage gets a page through the front door, by HTTP/1.1 and 2, and expects something in it.
func expectPage(t *testing.T, at, page, has string) {
	t.Helper()
	host, path, _ := strings.Cut(page, "/")
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := &http.Transport{
			ForceAttemptHTTP2: version == "HTTP/2.0",
			TLSClientConfig:   &tls.Config{ServerName: host, InsecureSkipVerify: true},
		}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: answerTime}
		resp, err := client.Get("https://" + at + "/" + path)
		must(t, "get", err)
		body, err := io.ReadAll(resp.Body)
		must(t, "read", err)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.Proto != version || !strings.Contains(string(body), has) {
			t.Errorf("%s by %s: %s by %s, without %q", page, version, resp.Status, resp.Proto, has)
		}
	}
}
