// Package report tells a person how the test of a relay goes: a line for each step with the time it took, then that the
// relay works, or in plain words why it does not. It never prints what could move a terminal's cursor.
package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Report writes the lines of a test: on a terminal with a mark that appears while a step runs, elsewhere as plain
// text once it is over.
type Report struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
	step     string // at work; empty: none
	began    time.Time
	titled   bool
}

// New returns a report to out, with colours if that is a terminal.
func New(out io.Writer) *Report {
	return &Report{out: out, terminal: isTerminal(out), now: time.Now}
}

// Now is the clock of the report.
func (r *Report) Now() time.Time { return r.now() }

// nameWidth is the width of the column of names.
const nameWidth = 34

// timeWidth is that of times, which are aligned to the right.
const timeWidth = 9

// ANSI sequences.
const (
	green = "\x1b[32m"
	red   = "\x1b[31m"
	dim   = "\x1b[2m"
	bold  = "\x1b[1m"
	plain = "\x1b[0m"
	erase = "\r\x1b[K" // back to the beginning of an empty line
)

// isTerminal reports whether a person watches.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// style wraps s in an ANSI style, on terminals.
func (r *Report) style(style, s string) string {
	if !r.terminal {
		return s
	}
	return style + s + plain
}

// Title writes a heading, with an empty line before it unless it is the first.
func (r *Report) Title(s string) {
	if r.titled {
		fmt.Fprintln(r.out)
	}
	r.titled = true
	fmt.Fprintln(r.out, r.style(bold, s))
}

// Begin starts a step.
func (r *Report) Begin(name string) {
	r.step, r.began = name, r.now()
	if r.terminal {
		fmt.Fprintf(r.out, "  %s %s", r.style(dim, "..."), name)
	}
}

// Done ends the step at work well.
func (r *Report) Done() { r.end(green, "ok") }

// Line writes something that takes no time.
func (r *Report) Line(name, value string) {
	fmt.Fprintf(r.out, "  %s  %-*s%*s\n", r.style(green, "ok"), nameWidth, name, timeWidth, value)
}

// Failed ends the step at work, if there is one, and tells the reason.
func (r *Report) Failed(reason string) {
	if r.step != "" {
		r.end(red, "--")
		fmt.Fprintln(r.out)
	}
	fmt.Fprintf(r.out, "%s\n%s\n", r.style(red, "The test failed."), wrap(reason))
}

func (r *Report) end(style, mark string) {
	if r.terminal {
		fmt.Fprint(r.out, erase)
	}
	took := Duration(r.now().Sub(r.began))
	fmt.Fprintf(r.out, "  %s  %-*s%*s\n", r.style(style, mark), nameWidth, r.step, timeWidth, took)
	r.step = ""
}

// Duration renders d for people: 1.2 ms, 340.0 ms, 2.5 s.
func Duration(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// lineWidth is the width of running text.
const lineWidth = 78

// wrap breaks text into lines between words.
func wrap(text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case width == 0:
		case width+1+n > lineWidth:
			b.WriteByte('\n')
			width = 0
		default:
			b.WriteByte(' ')
			width++
		}
		b.WriteString(word)
		width += n
	}
	return b.String()
}

// Printable replaces what could move a terminal's cursor, in text that others chose.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == utf8.RuneError || !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, s)
}
