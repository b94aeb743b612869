package admin

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"sotto/shared/terminal"
)

// Row is a line of what a person reads.
type Row struct {
	Name, Value string
	Bad         bool // it needs the operator
}

// Section is some rows under a title.
type Section struct {
	Title string
	Rows  []Row
}

// width is that of the text: of a terminal that nobody has made wider.
const width = 80

// Colours of a terminal.
const (
	bold  = "\x1b[1m"
	red   = "\x1b[31m"
	plain = "\x1b[0m"
)

// Print writes sections with their values in one column.
func Print(w io.Writer, sections []Section) error {
	colours := terminal.Is(w) && os.Getenv("NO_COLOR") == ""
	column := 0
	for _, s := range sections {
		for _, r := range s.Rows {
			column = max(column, utf8.RuneCountInString(r.Name))
		}
	}
	var b strings.Builder
	for i, s := range sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		if s.Title != "" {
			b.WriteString(painted(s.Title, bold, colours) + "\n")
		}
		for _, r := range s.Rows {
			printRow(&b, r, column, colours)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printRow writes a row, on more than one line if it must be.
func printRow(b *strings.Builder, r Row, column int, colours bool) {
	name := r.Name
	for _, line := range wrap(r.Value, width-column-4) {
		if r.Bad {
			line = painted(line, red, colours)
		}
		text := fmt.Sprintf("  %s%s  %s", name, strings.Repeat(" ", column-utf8.RuneCountInString(name)), line)
		b.WriteString(strings.TrimRight(text, " ") + "\n")
		name = ""
	}
}

func painted(text, colour string, colours bool) string {
	if !colours {
		return text
	}
	return colour + text + plain
}

// wrap cuts text into lines of at most so many characters, between words where it can.
func wrap(text string, most int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(printable(text)) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > most {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// printable takes away what a terminal would do instead of showing it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// Number writes a number with its thousands apart.
func Number[N ~int | ~int64 | ~uint64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign, digits, _ := cutSign(digits)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func cutSign(digits string) (sign, rest string, negative bool) {
	if rest, negative = strings.CutPrefix(digits, "-"); negative {
		return "-", rest, true
	}
	return "", digits, false
}

// Size writes a number of bytes with few digits. As in the settings, a KB has 1024 bytes.
func Size(n int64) string {
	value, unit := float64(n), 0
	units := []string{"bytes", "KB", "MB", "GB", "TB", "PB"}
	for value >= 1023.5 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	if unit == 0 || value >= 99.5 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}

// Span writes a time from one moment to another, as exactly as a person wants it.
func Span(d time.Duration) string {
	for _, unit := range []struct {
		big, small string
		size, part time.Duration
	}{
		{"day", "hour", 24 * time.Hour, time.Hour}, {"hour", "minute", time.Hour, time.Minute}, {"minute", "second", time.Minute, time.Second},
	} {
		if d >= unit.size {
			text := several(int64(d/unit.size), unit.big)
			if part := int64(d % unit.size / unit.part); part > 0 && d < 100*unit.size {
				text += " " + several(part, unit.small)
			}
			return text
		}
	}
	return several(int64(d/time.Second), "second")
}

// several writes a number of things.
func several(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Number(n) + " " + thing + "s"
}

// Took writes a short time.
func Took(d time.Duration) string {
	switch ms := float64(d) / float64(time.Millisecond); {
	case ms < 9.95:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 9999.5:
		return fmt.Sprintf("%.0f ms", ms)
	default:
		return fmt.Sprintf("%.0f s", ms/1000)
	}
}

// Notice tells of the notice that goes with a reason for blocking, after that.
func Notice(has bool, ttl int64) string {
	switch {
	case !has:
		return ""
	case ttl == 0:
		return ", with a notice"
	default:
		return ", with a notice for " + Span(time.Duration(ttl)*time.Second)
	}
}
