package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sotto/shared/installed"
)

// TestWebChromium holds a whole conversation from a page in a browser, of another origin than the relay.
func TestWebChromium(t *testing.T) {
	for _, kind := range []keyKind{keyECDSA, keyRSA} {
		t.Run(string(kind), func(t *testing.T) {
			r := startWebRelay(t, kind)
			inChromium(t, r, "converse", map[string]string{"address": r.address}, nil)
		})
	}
}

// report is what a page tells when its task is done.
type report struct {
	Steps  []string        `json:"steps"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// mostReport bounds a report, in bytes: no task returns more than a link and the names of its steps.
const mostReport = 1 << 20

// inChromium is a [webClient] in a page of a new browser.
func inChromium(t *testing.T, r webRelay, task string, parameters, result any) {
	t.Helper()
	browser := installed.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	certutil := installed.Program(t, "libnss3-tools", "certutil")
	home := browserHome(t)
	trustAuthority(t, certutil, home, r.caFile)
	reports := make(chan report, 1)
	pages := httptest.NewServer(pageHandler(reports))
	defer pages.Close()
	query := url.Values{"task": {task}, "parameters": {marshal(t, parameters)}}
	got := browse(t, browser, home, pages.URL+"/page.html?"+query.Encode(), reports)
	if len(got.Steps) > 0 {
		t.Log("\nok: " + strings.Join(got.Steps, "\nok: "))
	}
	if got.Error != "" {
		t.Fatalf("the page failed: %s", got.Error)
	}
	readResult(t, got.Result, result)
}

// browserHome makes a directory for a browser. Its removal may fail: a browser that was ended has processes that end a
// little later, and write until then.
func browserHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sotto-browser-")
	must(t, "directory", err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// trustAuthority has the browser of this home trust an authority, as an administrator of a computer would. It verifies
// certificates then, where a flag to ignore errors would hide them.
func trustAuthority(t *testing.T, certutil, home, caFile string) {
	t.Helper()
	database := filepath.Join(home, ".pki", "nssdb")
	must(t, "directory", os.MkdirAll(database, 0o700))
	for _, args := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-t", "C,,", "-n", "test authority", "-i", caFile},
	} {
		out, err := exec.CommandContext(t.Context(), certutil, append([]string{"-d", "sql:" + database}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
}

// pageHandler serves the directory web, and takes a report.
func pageHandler(reports chan<- report) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("web")))
	mux.HandleFunc("POST /report", func(w http.ResponseWriter, r *http.Request) {
		var got report
		if err := json.NewDecoder(io.LimitReader(r.Body, mostReport)).Decode(&got); err != nil {
			got.Error = "unreadable report: " + err.Error()
		}
		select {
		case reports <- got:
		default: // a page reports once
		}
	})
	return mux
}

// browserFlags have the browser need no display, no other host and no answers. Root, as in containers, has no sandbox.
var browserFlags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
	"--disable-background-networking", "--disable-component-update", "--disable-sync",
}

// browse opens a page and returns what it reports.
func browse(t *testing.T, browser, home, page string, reports <-chan report) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	args := append([]string{"--user-data-dir=" + filepath.Join(home, "profile")}, browserFlags...)
	cmd := exec.CommandContext(ctx, browser, append(args, page)...)
	cmd.Env, cmd.Dir = webEnvironment(home), home
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	// A browser is many processes, which end together as a group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = answerTime
	must(t, "start the browser", cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case got := <-reports:
		cancel()
		<-ended
		return got
	case err := <-ended:
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("the page has not reported within %v\n%s", testTime.Round(time.Second), tail(output.String()))
		}
		t.Fatalf("the browser ended: %v\n%s", err, tail(output.String()))
	}
	return report{}
}
