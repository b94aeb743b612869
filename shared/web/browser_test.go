package web

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"sotto/shared/installed"
)

// browserFlags have the browser need no display, no other host and no answers. Root, as in containers, has no sandbox.
var browserFlags = []string{
	"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
	"--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe",
}

// browserTime bounds the life of a browser, so that one which does not answer fails its test rather than all of them.
const browserTime = 5 * time.Minute

// browser is a Chromium that takes commands through a pipe, as the Chrome DevTools Protocol has them.
type browser struct {
	t       *testing.T
	out     io.Writer
	in      *bufio.Reader
	session string
	last    int
	events  []event
}

// event is a message of the browser: the answer to a command, or news.
type event struct {
	ID        int             `json:"id"`
	Session   string          `json:"sessionId"`
	Method    string          `json:"method"`
	Params    json.RawMessage `json:"params"`
	Result    json.RawMessage `json:"result"`
	ErrorInfo json.RawMessage `json:"error"`
}

// startBrowser starts a browser with one blank page. Without one installed, the test fails in CI and is skipped
// elsewhere.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	program := installed.Program(t, "chromium", "chromium", "chromium-browser", "google-chrome")
	home, err := os.MkdirTemp("", "sotto-browser-")
	must(t, err)
	fromTest, commands, err := os.Pipe()
	must(t, err)
	answers, fromBrowser, err := os.Pipe()
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), browserTime)
	flags := append([]string{"--user-data-dir=" + filepath.Join(home, "profile")}, browserFlags...)
	cmd := exec.CommandContext(ctx, program, append(flags, "about:blank")...)
	cmd.Env, cmd.Dir = append(os.Environ(), "HOME="+home), home
	cmd.ExtraFiles = []*os.File{fromTest, fromBrowser} // descriptors 3 and 4, where the browser expects them
	// A browser is many processes, which end together as a group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	must(t, cmd.Start())
	must(t, fromTest.Close())
	must(t, fromBrowser.Close())
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_, _ = commands.Close(), answers.Close()
		_ = os.RemoveAll(home)
	})
	b := &browser{t: t, out: commands, in: bufio.NewReader(answers)}
	b.attach()
	return b
}

// attach opens a page, and asks for what it reports.
func (b *browser) attach() {
	b.t.Helper()
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	for _, domain := range []string{"Page", "Log", "Network", "Runtime"} {
		b.call(domain+".enable", nil, nil)
	}
}

// call has the browser do something, and reads its answer.
func (b *browser) call(method string, parameters map[string]any, result any) {
	b.t.Helper()
	b.last++
	id := b.last
	command := map[string]any{"id": id, "method": method}
	if parameters != nil {
		command["params"] = parameters
	}
	if b.session != "" {
		command["sessionId"] = b.session
	}
	text, err := json.Marshal(command)
	must(b.t, err)
	_, err = b.out.Write(append(text, 0))
	must(b.t, err)
	for {
		e := b.read()
		if e.ID != id {
			b.events = append(b.events, e)
			continue
		}
		if e.ErrorInfo != nil {
			b.t.Fatalf("%s: %s", method, e.ErrorInfo)
		}
		if result != nil {
			must(b.t, json.Unmarshal(e.Result, result))
		}
		return
	}
}

// read waits for a message.
func (b *browser) read() event {
	b.t.Helper()
	text, err := b.in.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("the browser ended: %v", err)
	}
	var e event
	must(b.t, json.Unmarshal(text[:len(text)-1], &e))
	return e
}

// open goes to a page and waits until it is loaded, with its scripts.
func (b *browser) open(url string) {
	b.t.Helper()
	b.call("Page.navigate", map[string]any{"url": "about:blank"}, nil) // or a new fragment would load nothing
	b.wait("Page.loadEventFired")
	b.call("Page.navigate", map[string]any{"url": url}, nil)
	b.wait("Page.loadEventFired")
}

// wait reads messages until one is this, and keeps the others.
func (b *browser) wait(method string) {
	b.t.Helper()
	for i, e := range b.events {
		if e.Method == method {
			b.events = append(b.events[:i], b.events[i+1:]...)
			return
		}
	}
	for {
		e := b.read()
		if e.Method == method {
			return
		}
		b.events = append(b.events, e)
	}
}

// evaluate has the page compute something, whose value is awaited.
func (b *browser) evaluate(expression string, result any) {
	b.t.Helper()
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	b.call("Runtime.evaluate", map[string]any{
		"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true,
	}, &answer)
	if answer.ExceptionDetails != nil {
		b.t.Fatalf("%s: %s", expression, answer.ExceptionDetails)
	}
	if result != nil {
		must(b.t, json.Unmarshal(answer.Result.Value, result))
	}
}

// show sets the size of the window, and the colours that the system prefers.
func (b *browser) show(v view) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": v.width, "height": v.height, "deviceScaleFactor": 1, "mobile": v.width < 500,
	}, nil)
	b.call("Emulation.setEmulatedMedia", map[string]any{
		"features": []map[string]string{{"name": "prefers-color-scheme", "value": v.colours}},
	}, nil)
}

// view is how a person sees a page.
type view struct {
	width, height int
	colours       string
}

func (v view) String() string { return fmt.Sprintf("%dx%d-%s", v.width, v.height, v.colours) }

// complaints are what the browser reported since the last call, and requests the addresses that it asked for.
func (b *browser) complaints() (complaints, requests []string) {
	b.t.Helper()
	b.evaluate("1", nil) // what came before has been reported then
	for _, e := range b.events {
		switch e.Method {
		case "Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown":
			complaints = append(complaints, string(e.Params))
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			must(b.t, json.Unmarshal(e.Params, &p))
			requests = append(requests, p.Request.URL)
		}
	}
	b.events = nil
	return complaints, requests
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// location is where the page is.
func (b *browser) location() string {
	b.t.Helper()
	var at string
	b.evaluate("location.href", &at)
	return at
}

func (b *browser) expectNoComplaint() {
	b.t.Helper()
	complaints, _ := b.complaints()
	for _, c := range complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
}
