package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// barPeriod is how often a bar is drawn anew: often enough to seem steady.
	barPeriod = 200 * time.Millisecond
	// linePeriod is how often progress is told where nobody sees a bar, as in a log.
	linePeriod = 5 * time.Second
	// ratePeriod is how far back the rate looks, so that it follows the line and does not jump.
	ratePeriod = 10 * time.Second
	// barWidth and nameWidth are in characters; with the rest a line stays below 80.
	barWidth  = 24
	nameWidth = 20
	erase     = "\r\x1b[K" // back to the beginning of an empty line
)

// Bar tells a person how far something is: on a terminal as a bar that is drawn again and again, elsewhere as a line every
// few seconds. It may be used by several goroutines.
type Bar struct {
	out      io.Writer
	terminal bool
	name     string
	now      func() time.Time

	mu      sync.Mutex // guards what follows
	samples []sample   // of the last ratePeriod, oldest first
	told    time.Time  // when it was drawn or written
	drawn   bool       // the bar is on the screen
}

// sample is how much was done at a time.
type sample struct {
	at   time.Time
	done int64
}

// NewBar returns a bar for something of this name, which nothing may be wrong with for a terminal.
func NewBar(out io.Writer, name string) *Bar {
	b := &Bar{out: out, terminal: Is(out) && os.Getenv("TERM") != "dumb", name: name, now: time.Now}
	b.told = b.now()
	return b
}

// Set tells how many bytes of how many are done.
func (b *Bar) Set(done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.sample(sample{now, done})
	period := linePeriod
	if b.terminal {
		period = barPeriod
	}
	if now.Sub(b.told) < period && !(b.drawn && done == total) {
		return
	}
	b.told = now
	if b.terminal {
		b.drawn = true
		fmt.Fprint(b.out, erase+b.picture(done, total))
	} else {
		fmt.Fprintf(b.out, "%s: %s\n", b.name, b.figures(done, total))
	}
}

// Close removes the bar from the screen.
func (b *Bar) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.drawn {
		fmt.Fprint(b.out, erase)
		b.drawn = false
	}
}

// sample keeps what the rate is made of. Between two that are kept there is a while, which bounds their number.
func (b *Bar) sample(s sample) {
	if n := len(b.samples); n > 1 && s.at.Sub(b.samples[n-2].at) < barPeriod {
		b.samples[n-1] = s
	} else {
		b.samples = append(b.samples, s)
	}
	for len(b.samples) > 2 && s.at.Sub(b.samples[1].at) >= ratePeriod {
		b.samples = b.samples[1:]
	}
}

// rate is in bytes per second, 0 if it is not known.
func (b *Bar) rate() float64 {
	first, last := b.samples[0], b.samples[len(b.samples)-1]
	seconds := last.at.Sub(first.at).Seconds()
	if seconds <= 0 {
		return 0
	}
	return float64(last.done-first.done) / seconds
}

// picture is the line on a terminal.
func (b *Bar) picture(done, total int64) string {
	full := 0
	if total > 0 {
		full = int(int64(barWidth) * done / total)
	}
	return fmt.Sprintf("%s [%s%s] %s", fit(b.name, nameWidth), strings.Repeat("#", full), strings.Repeat("-", barWidth-full),
		b.figures(done, total))
}

// figures are the part done, the rate and the time left.
func (b *Bar) figures(done, total int64) string {
	percent := int64(100)
	if total > 0 {
		percent = 100 * done / total
	}
	text := fmt.Sprintf("%3d%%", percent)
	rate := b.rate()
	if rate <= 0 {
		return text
	}
	text += "  " + Rate(rate)
	if done < total {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		text += "  " + clock(left) + " left"
	}
	return text
}

// Rate writes bytes per second in units of 1000: 12.3 MB/s.
func Rate(perSecond float64) string {
	for _, unit := range []string{"B/s", "kB/s", "MB/s"} {
		if perSecond < 999.5 {
			return fmt.Sprintf("%.3g %s", perSecond, unit)
		}
		perSecond /= 1000
	}
	return fmt.Sprintf("%.3g GB/s", perSecond)
}

// clock writes a time as 0:05, 12:34 or 1:02:03.
func clock(d time.Duration) string {
	const most = 99 * time.Hour // more is a line that stands still
	s := int(min(d, most).Round(time.Second).Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// fit cuts text or fills it up to a width in characters.
func fit(text string, width int) string {
	n := utf8.RuneCountInString(text)
	if n <= width {
		return text + strings.Repeat(" ", width-n)
	}
	runes := []rune(text)
	return string(runes[:width/2-1]) + "..." + string(runes[n-width/2+2:])
}
