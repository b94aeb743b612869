// Package load has what the load benchmarks of both relays need beside their traffic: a table of figures, throw-away
// databases, and a description of the machine.
package load

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Table collects the figures.
type Table struct {
	rows []row
}

// row is one figure, or a heading if it has no value.
type row struct {
	name, value, aim string
}

// Heading begins a group of figures.
func (t *Table) Heading(format string, args ...any) {
	t.rows = append(t.rows, row{name: fmt.Sprintf(format, args...)})
}

// Add adds a figure without an aim.
func (t *Table) Add(name, format string, args ...any) {
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...)})
}

// Aimed adds a figure with what it should be.
func (t *Table) Aimed(name string, met bool, aim, format string, args ...any) {
	if met {
		aim += ", met"
	} else {
		aim += ", missed"
	}
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...), aim: aim})
}

// Ratio adds a ratio that should be at least aim.
func (t *Table) Ratio(name string, ratio, aim float64) {
	t.Aimed(name, ratio >= aim, fmt.Sprintf("at least %.2f", aim), "%.2f", ratio)
}

// Print writes all figures, in columns.
func (t *Table) Print(w io.Writer) {
	names, values := 0, 0
	for _, r := range t.rows {
		if r.value != "" {
			names, values = max(names, utf8.RuneCountInString(r.name)), max(values, utf8.RuneCountInString(r.value))
		}
	}
	for _, r := range t.rows {
		if r.value == "" {
			fmt.Fprintf(w, "\n%s\n", r.name)
			continue
		}
		line := fmt.Sprintf("  %-*s  %*s  %s", names, r.name, values, r.value, r.aim)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
}

// DescribeMachine says what the figures were measured on, and refuses a database that does not write to the disk.
func DescribeMachine(ctx context.Context, admin string, t *Table) error {
	return Connected(ctx, admin, func(conn *pgx.Conn) error {
		var version, fsync, commit, buffers string
		err := conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'),
			current_setting('synchronous_commit'), current_setting('shared_buffers')`).Scan(&version, &fsync, &commit, &buffers)
		if err != nil {
			return err
		}
		t.Heading("Machine: %d processors, %s, %s/%s, shared by clients, relay and database", runtime.NumCPU(),
			runtime.Version(), runtime.GOOS, runtime.GOARCH)
		t.Add("Postgres", "%s", version)
		t.Add("shared_buffers", "%s", buffers)
		t.Aimed("fsync, synchronous_commit", fsync == "on" && commit == "on", "on, on", "%s, %s", fsync, commit)
		return nil
	})
}

// Durations are measured times.
type Durations []time.Duration

// Quantile returns the time below which this share of them is. It sorts them.
func (d Durations) Quantile(share float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(share*float64(len(d))))]
}

// Milliseconds renders d for the table.
func Milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// Kilobytes renders n bytes for the table.
func Kilobytes(n float64) string { return fmt.Sprintf("%.1f KB", n/1024) }

// Megabytes renders n bytes for the table.
func Megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
