package main

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

// table collects the figures.
type table struct {
	rows []row
}

// row is one figure, or a heading if it has no value.
type row struct {
	name, value, aim string
}

func (t *table) heading(format string, args ...any) {
	t.rows = append(t.rows, row{name: fmt.Sprintf(format, args...)})
}

// add adds a figure without an aim.
func (t *table) add(name, format string, args ...any) {
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...)})
}

// aimed adds a figure with what it should be.
func (t *table) aimed(name string, met bool, aim, format string, args ...any) {
	if met {
		aim += ", met"
	} else {
		aim += ", missed"
	}
	t.rows = append(t.rows, row{name: name, value: fmt.Sprintf(format, args...), aim: aim})
}

func (t *table) print(w io.Writer) {
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

// describeMachine says what the figures were measured on, and refuses a database that does not write to the disk.
func describeMachine(ctx context.Context, s *settings, t *table) error {
	return connected(ctx, s.admin, func(conn *pgx.Conn) error {
		var version, fsync, commit, buffers string
		err := conn.QueryRow(ctx, `SELECT current_setting('server_version'), current_setting('fsync'),
			current_setting('synchronous_commit'), current_setting('shared_buffers')`).Scan(&version, &fsync, &commit, &buffers)
		if err != nil {
			return err
		}
		t.heading("Machine: %d processors, %s, %s/%s, shared by clients, relay and database", runtime.NumCPU(),
			runtime.Version(), runtime.GOOS, runtime.GOARCH)
		t.add("Postgres", "%s", version)
		t.add("shared_buffers", "%s", buffers)
		t.aimed("fsync, synchronous_commit", fsync == "on" && commit == "on", "on, on", "%s, %s", fsync, commit)
		return nil
	})
}

// durations are measured times.
type durations []time.Duration

// quantile returns the time below which this share of them is. It sorts them.
func (d durations) quantile(share float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(share*float64(len(d))))]
}

// milliseconds renders d for the table.
func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// kilobytes renders n bytes for the table.
func kilobytes(n float64) string { return fmt.Sprintf("%.1f KB", n/1024) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
