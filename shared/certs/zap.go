package certs

import (
	"github.com/rs/zerolog"
	"go.uber.org/zap/zapcore"
)

// bridge takes certmagic's log to the relay's, for those who look for the cause of trouble: at the level debug, whatever
// level it has there, because what operators act on is told by this package. Only fields that hold the relay's own names and
// plain facts are taken over; certmagic also tells of those who connect.
type bridge struct {
	zapcore.LevelEnabler
	log zerolog.Logger
}

// kept are the fields that are taken over.
var kept = map[string]bool{
	"identifier": true, "identifiers": true, "subject": true, "issuer": true, "attempt": true, "retrying_in": true,
	"elapsed": true, "max_duration": true, "challenge_type": true, "remaining": true, "expiration": true,
}

// With returns the same, since fields are taken from single lines only.
func (b bridge) With([]zapcore.Field) zapcore.Core { return b }

// Check adds the bridge to those that write a line.
func (b bridge) Check(entry zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.log.GetLevel() <= zerolog.DebugLevel {
		return checked.AddCore(entry, b)
	}
	return checked
}

// Write writes a line.
func (b bridge) Write(entry zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, field := range fields {
		if kept[field.Key] {
			field.AddTo(values)
		}
	}
	b.log.Debug().Str("level in certmagic", entry.Level.String()).Fields(values.Fields).Msg("certificates: " + entry.Message)
	return nil
}

// Sync has nothing to do.
func (b bridge) Sync() error { return nil }
