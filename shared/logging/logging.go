// Package logging sets up the log of both relays: one line an event, to standard error, for people or for machines.
// What may never be logged is kept out by the types that hold it.
package logging

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// New returns a logger for a level (debug, info, warn, error) and a format (text, json).
func New(w io.Writer, level, format string) (zerolog.Logger, error) {
	l, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), fmt.Errorf("log level must be debug, info, warn or error")
	}
	return zerolog.New(writer(w, format)).Level(l).With().Timestamp().Logger(), nil
}

// writer writes lines in a format.
func writer(w io.Writer, format string) io.Writer {
	if format == "text" {
		return zerolog.ConsoleWriter{Out: w, TimeFormat: time.RFC3339, NoColor: !isTerminal(w)}
	}
	return w
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
