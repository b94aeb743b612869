package terminal

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// clocked returns a bar whose time passes as the test says.
func clocked(out *strings.Builder, terminal bool, name string) (b *Bar, pass func(time.Duration)) {
	now := time.Unix(1_000_000, 0)
	b = NewBar(out, name)
	b.terminal, b.now, b.told = terminal, func() time.Time { return now }, now
	return b, func(d time.Duration) { now = now.Add(d) }
}

func TestBar(t *testing.T) {
	var out strings.Builder
	b, pass := clocked(&out, true, "holiday photograph.jpg")
	b.Set(0, 1000_000)
	if out.Len() > 0 {
		t.Errorf("what is over at once is drawn: %q", out.String())
	}
	pass(time.Second)
	b.Set(250_000, 1000_000)
	want := "\r\x1b[Kholiday p...raph.jpg [######------------------]  25%  250 kB/s  0:03 left"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
	out.Reset()
	pass(barPeriod / 2)
	b.Set(300_000, 1000_000)
	if out.Len() > 0 {
		t.Error("it is drawn too often")
	}
	b.Set(1000_000, 1000_000)
	if !strings.Contains(out.String(), "["+strings.Repeat("#", barWidth)+"] 100%") || strings.Contains(out.String(), "left") {
		t.Errorf("the end is %q", out.String())
	}
	out.Reset()
	b.Close()
	b.Close()
	if out.String() != erase {
		t.Errorf("closing writes %q", out.String())
	}
}

// TestBarWithoutTerminal: whole lines, a few of them, that move no cursor.
func TestBarWithoutTerminal(t *testing.T) {
	var out strings.Builder
	b, pass := clocked(&out, false, "file")
	for i := range int64(101) {
		b.Set(i*10_000_000, 1_000_000_000)
		pass(100 * time.Millisecond)
	}
	b.Close()
	want := "file:  50%  100 MB/s  0:05 left\nfile: 100%  100 MB/s\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}

// TestRateForgets: what was there at the beginning, and how fast the line was long ago, do not count.
func TestRateForgets(t *testing.T) {
	var out strings.Builder
	b, pass := clocked(&out, true, "file")
	done := int64(5_000_000)
	for range 1000 {
		b.Set(done, 1e12)
		done += 1000
		pass(10 * time.Millisecond)
	}
	if rate := b.rate(); rate < 99_000 || rate > 101_000 {
		t.Errorf("%v bytes per second, want 100000", rate)
	}
	for range 2000 {
		b.Set(done, 1e12)
		done += 10
		pass(10 * time.Millisecond)
	}
	if rate := b.rate(); rate < 900 || rate > 1100 {
		t.Errorf("%v bytes per second, want 1000", rate)
	}
	if n := len(b.samples); n > 2+2*int(ratePeriod/barPeriod) {
		t.Errorf("%d samples are kept", n)
	}
}

func TestBarStaysInALine(t *testing.T) {
	var out strings.Builder
	b, pass := clocked(&out, true, strings.Repeat("wide name ", 20))
	b.Set(0, 1<<40)
	pass(time.Hour)
	b.Set(999_000*3600, 1<<40)
	line := strings.TrimPrefix(out.String(), erase)
	if n := utf8.RuneCountInString(line); n >= 80 {
		t.Errorf("%d characters: %q", n, line)
	}
}

func TestRateAndClock(t *testing.T) {
	for rate, want := range map[float64]string{
		0.5: "0.5 B/s", 999: "999 B/s", 999.9: "1 kB/s", 12_345_678: "12.3 MB/s", 2_500_000_000: "2.5 GB/s",
	} {
		if got := Rate(rate); got != want {
			t.Errorf("%v: got %q, want %q", rate, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0:00", 59*time.Second + 600*time.Millisecond: "1:00", 754 * time.Second: "12:34", 3723 * time.Second: "1:02:03",
		10000 * time.Hour: "99:00:00",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestFit(t *testing.T) {
	for text, want := range map[string]string{
		"": "          ", "short": "short     ", "exactly 10": "exactly 10", "äöüäöüäöüäöü": "äöüä...äöü",
	} {
		if got := fit(text, 10); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
