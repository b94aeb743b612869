package certs

import (
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"
)

// bridge takes certmagic's log to the relay's, for those who look for the cause of trouble: at the level debug, whatever
// level it has there, because what operators act on is told by this package. Only fields that hold the relay's own names and
// plain facts are taken over; certmagic also tells of those who connect, and of the names that they ask for.
type bridge struct {
	zapcore.LevelEnabler
	log zerolog.Logger
	a   *authority
}

// facts are the fields that are taken over, and hosts those that are if they hold names of the relay.
var (
	facts = []string{"attempt", "retrying_in", "elapsed", "max_duration", "challenge_type", "remaining", "expiration"}
	hosts = []string{"identifier", "identifiers", "subject", "subjects"}
)

// With returns the same, since fields are taken from single lines only.
func (b bridge) With([]zapcore.Field) zapcore.Core { return b }

// Check adds the bridge to those that write a line.
func (b bridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if entry.Level >= zapcore.ErrorLevel || b.log.GetLevel() <= zerolog.DebugLevel {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write writes a line.
func (b bridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		field.AddTo(values)
	}
	if entry.Level >= zapcore.ErrorLevel {
		b.notice(entry.Message, values.Fields)
	}
	told := b.log.Debug().Str("level in certmagic", entry.Level.String())
	for _, name := range facts {
		if value, has := values.Fields[name]; has {
			told.Interface(name, value)
		}
	}
	for _, name := range hosts {
		if own := b.own(values.Fields[name]); len(own) > 0 {
			told.Strs(name, own)
		}
	}
	told.Msg("certificates: " + entry.Message)
	return nil
}

// own are the relay's names among the values of a field.
func (b bridge) own(value any) (own []string) {
	values, _ := value.([]any)
	for _, value := range append(values, value) {
		if name, ok := value.(string); ok && slices.Contains(b.a.m.asked, name) {
			own = append(own, name)
		}
	}
	return own
}

// notice takes what certmagic tells nowhere else: which challenges have failed, and work of its own that failed because of
// the storage.
func (b bridge) notice(message string, fields map[string]any) {
	switch message {
	case "challenge failed":
		challenge, _ := fields["challenge_type"].(string)
		problem, _ := fields["problem"].(map[string]any)
		kind, _ := problem["type"].(string)
		for _, name := range b.own(fields["identifier"]) {
			b.a.tried.failed(name, challenge, strings.TrimPrefix(kind, problemPrefix))
		}
	case "job failed", "panic":
		text, _ := fields["error"].(string)
		for _, name := range b.a.m.asked {
			if strings.Contains(text, name) && strings.Contains(text, keptTrouble) {
				b.a.failed(name, errKept)
			}
		}
	}
}

// Sync has nothing to do.
func (b bridge) Sync() error { return nil }
