package logging

import (
	"cmp"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Bounds of what is kept.
const (
	// maxRecent is how many different entries are kept: more than a relay has kinds of trouble at a time.
	maxRecent = 16
	// maxRecentText is how much of a text is kept.
	maxRecentText = 200
)

// Entry is a warning or an error that was logged, perhaps more than once.
type Entry struct {
	Level   string    `json:"level"`
	Message string    `json:"message"`
	Cause   string    `json:"cause,omitempty"` // what the fields op and cause say
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Count   int64     `json:"count"`
}

// Recent keeps the last warnings and errors that were logged, for an operator who asks. The zero Recent is ready to use.
type Recent struct {
	mu      sync.Mutex
	entries []Entry // guarded by mu
}

// Logger is [New] with a log whose warnings and errors r keeps, too.
func (r *Recent) Logger(w io.Writer, level, format string) (zerolog.Logger, error) {
	log, err := New(w, level, format)
	if err != nil {
		return log, err
	}
	return log.Output(zerolog.MultiLevelWriter(writer(w, format), r)), nil
}

// Entries returns what is kept, the newest first.
func (r *Recent) Entries() []Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := append([]Entry{}, r.entries...)
	slices.SortStableFunc(entries, func(a, b Entry) int { return cmp.Compare(b.Last.UnixNano(), a.Last.UnixNano()) })
	return entries
}

// Write is there for the logger, which calls WriteLevel.
func (r *Recent) Write(line []byte) (int, error) { return len(line), nil }

// WriteLevel keeps a line of the log if it is a warning or worse.
func (r *Recent) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level < zerolog.WarnLevel || level > zerolog.PanicLevel {
		return len(line), nil
	}
	var fields struct{ Message, Op, Cause string }
	if json.Unmarshal(line, &fields) != nil {
		return len(line), nil // a field of another kind than text has one of these names
	}
	cause := strings.Trim(fields.Op+": "+fields.Cause, ": ")
	r.add(Entry{Level: level.String(), Message: short(fields.Message), Cause: short(cause)})
	return len(line), nil
}

// add counts an entry again, or puts it in the place of the oldest.
func (r *Recent) add(e Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	i := slices.IndexFunc(r.entries, func(o Entry) bool {
		return o.Level == e.Level && o.Message == e.Message && o.Cause == e.Cause
	})
	if i >= 0 {
		r.entries[i].Last = now
		r.entries[i].Count++
		return
	}
	e.First, e.Last, e.Count = now, now, 1
	if len(r.entries) < maxRecent {
		r.entries = append(r.entries, e)
		return
	}
	oldest := slices.IndexFunc(r.entries, func(o Entry) bool {
		return !slices.ContainsFunc(r.entries, func(p Entry) bool { return p.Last.Before(o.Last) })
	})
	r.entries[oldest] = e
}

func short(text string) string {
	if len(text) <= maxRecentText {
		return text
	}
	return strings.ToValidUTF8(text[:maxRecentText], "") + "…"
}
