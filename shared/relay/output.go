package relay

import (
	"bytes"
	"context"
	"strings"
	"sync"
)

// Output keeps what a process prints. Its zero value is ready.
type Output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	waiting chan struct{} // closed when more was written, nil when nobody waits
}

// Write keeps p.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.waiting != nil {
		close(o.waiting)
		o.waiting = nil
	}
	return o.buf.Write(p)
}

// Len returns how many bytes were printed.
func (o *Output) Len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Len()
}

// String returns everything that was printed.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// Count returns how often text was printed.
func (o *Output) Count(text string) int { return strings.Count(o.String(), text) }

// Lines returns the complete lines printed from the offset on that have text in them.
func (o *Output) Lines(from int, text string) []string {
	found, _ := o.lines(from, text)
	return found
}

// lines is Lines, and a channel that is closed when more is printed.
func (o *Output) lines(from int, text string) ([]string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var found []string
	all := strings.SplitAfter(string(o.buf.Bytes()[from:]), "\n")
	for _, line := range all {
		if trimmed, complete := strings.CutSuffix(line, "\n"); complete && strings.Contains(trimmed, text) {
			found = append(found, trimmed)
		}
	}
	if o.waiting == nil {
		o.waiting = make(chan struct{})
	}
	return found, o.waiting
}

// WaitLine waits for a complete line with text in it, printed from the offset on, and returns it.
func (o *Output) WaitLine(ctx context.Context, from int, text string) (string, error) {
	for {
		found, more := o.lines(from, text)
		if len(found) > 0 {
			return found[0], nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
