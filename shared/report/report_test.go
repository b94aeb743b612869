package report

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	at := time.Unix(0, 0)
	r := Report{out: &out, terminal: true, now: func() time.Time { return at }}
	r.Title("Title")
	r.Begin("step")
	at = at.Add(1234 * time.Microsecond)
	r.Done()
	r.Begin("next")
	at = at.Add(15 * time.Second)
	r.Failed(strings.Repeat("word ", 30))
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines {
		if n := utf8.RuneCountInString(line); n > 120 {
			t.Errorf("a line of %d characters", n)
		}
	}
	want := "  \x1b[2m...\x1b[0m step\r\x1b[K  \x1b[32mok\x1b[0m  step" + strings.Repeat(" ", 30) + "   1.2 ms"
	if lines[1] != want {
		t.Errorf("got  %q\nwant %q", lines[1], want)
	}
	if !strings.Contains(out.String(), "\x1b[31m--\x1b[0m  next") || !strings.Contains(out.String(), "15.0 s") {
		t.Errorf("got %q", out.String())
	}
	if isTerminal(&out) {
		t.Error("a buffer is no terminal")
	}
	if f, err := os.Open(os.DevNull); err == nil {
		defer f.Close()
		t.Setenv("NO_COLOR", "1")
		if isTerminal(f) {
			t.Error("NO_COLOR is ignored")
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0.0 ms", 49 * time.Microsecond: "0.0 ms", 1234567: "1.2 ms", 999 * time.Millisecond: "999.0 ms",
		time.Second: "1.0 s", 15250 * time.Millisecond: "15.2 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}
