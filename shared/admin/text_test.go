package admin

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sotto/shared/certs"
	"sotto/shared/logging"
)

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -999: "-999"} {
		if got := Number(n); got != want {
			t.Errorf("%d is written %s", n, got)
		}
	}
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KB", 1536: "1.5 KB", 1 << 20: "1.0 MB", 250 << 30: "250 GB", 3 << 50: "3.0 PB",
		1<<20 - 1: "1.0 MB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d bytes are written %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 61 * time.Second: "1 minute 1 second", 2 * time.Hour: "2 hours",
		26*time.Hour + 5*time.Minute: "1 day 2 hours", 400 * 24 * time.Hour: "400 days", 49 * time.Hour: "2 days 1 hour",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v is written %s", d, got)
		}
	}
	for d, want := range map[time.Duration]string{
		400 * time.Microsecond: "0.4 ms", 12 * time.Millisecond: "12 ms", 3 * time.Second: "3000 ms", 12 * time.Second: "12 s",
	} {
		if got := Took(d); got != want {
			t.Errorf("%v is written %s", d, got)
		}
	}
}

// A status of a relay in trouble fits 80 columns, and has no colours where nobody sees them.
func TestStatusFits(t *testing.T) {
	now := time.Now()
	c := Common{
		Program: "smp", Version: "1.2.3", Started: now.Add(-1000 * time.Hour), Now: now, Identity: now.Add(time.Hour),
		Database: Database{Where: "database smp at /var/run/postgresql"},
		Certificates: Certificates([]certs.Status{
			{Name: "relay.example.org", State: certs.Failed, NotAfter: now.Add(-time.Hour), Reason: strings.Repeat("the authority cannot reach port 80 ", 4)},
			{Name: "other.example.org", State: certs.Valid, NotAfter: now.Add(80 * 24 * time.Hour)},
		}),
	}
	for i := range maxShown + 3 {
		c.Troubles = append(c.Troubles, logging.Entry{
			Level: "error", Message: strings.Repeat("ä long message ", 10), Cause: "\x1b[31mdisk full", Count: int64(i), First: now, Last: now,
		})
	}
	var out bytes.Buffer
	if err := Print(&out, []Section{{Title: c.Title(), Rows: c.Rows()}, c.Trouble()}); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if utf8.RuneCountInString(line) > 80 || strings.HasSuffix(line, " ") || strings.Contains(line, "\x1b") {
			t.Errorf("a line is %q", line)
		}
	}
	for _, word := range []string{"up 41 days 16 hours", "does not answer", "expires in 1 hour", "has expired on", "port 80", "in 80 days", "3 more", "(4 times since"} {
		if !strings.Contains(strings.Join(strings.Fields(out.String()), " "), word) {
			t.Errorf("%q is not told:\n%s", word, &out)
		}
	}
	bad := 0
	for _, r := range c.Rows() {
		if r.Bad {
			bad++
		}
	}
	if bad != 3 {
		t.Errorf("%d rows need the operator, not the database, the identity and one certificate", bad)
	}
}

func TestStats(t *testing.T) {
	counts := struct {
		Accepted uint64       `metric:"x_connections_accepted_total"`
		Commands [2][2]uint64 `metric:"x_commands_total"`
		Bytes    uint64       `metric:"x_bytes_total"`
	}{12345, [2][2]uint64{{7, 1}, {0, 2}}, 9}
	s := Stats{Program: "x", Started: time.Now(), Now: time.Now(), Counters: Counters(counts, []string{"NEW", "SEND"}, []string{"ok", "auth"})}
	answer, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	sections, err := ShowStats(answer)
	if err != nil || len(sections) != 2 {
		t.Fatalf("%d sections, %v", len(sections), err)
	}
	var out bytes.Buffer
	if err := Print(&out, sections); err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(out.String(), "\n")
	want := "  connections accepted  12,345\n  bytes                 9\n\nCommands\n  NEW                   7 ok, 1 auth\n  SEND                  2 auth\n"
	if rest != want {
		t.Errorf("it prints\n%s", rest)
	}
}
