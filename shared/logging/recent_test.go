package logging

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestRecent(t *testing.T) {
	var r Recent
	var out bytes.Buffer
	log, err := r.Logger(&out, "debug", "text")
	if err != nil {
		t.Fatal(err)
	}
	log.Debug().Msg("detail")
	log.Info().Msg("start")
	log.Warn().Msg("odd")
	for range 3 {
		log.Error().Str("op", "append").Str("cause", "disk full").Msg("store failed")
	}
	if n := strings.Count(out.String(), "\n"); n != 6 {
		t.Errorf("%d lines logged, not 6:\n%s", n, &out)
	}
	got := r.Entries()
	if len(got) != 2 {
		t.Fatalf("%d entries kept: %+v", len(got), got)
	}
	if e := got[0]; e.Level != "error" || e.Message != "store failed" || e.Cause != "append: disk full" || e.Count != 3 || e.Last.Before(e.First) {
		t.Errorf("the newest is %+v", e)
	}
	if e := got[1]; e.Level != "warn" || e.Message != "odd" || e.Cause != "" || e.Count != 1 {
		t.Errorf("the oldest is %+v", e)
	}
}

// The number of entries, and their length, are bounded; the newest stay.
func TestRecentIsBounded(t *testing.T) {
	var r Recent
	log, err := r.Logger(new(bytes.Buffer), "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 * maxRecent {
		log.Warn().Msgf("trouble %d", i)
	}
	log.Warn().Str("cause", strings.Repeat("ä", maxRecentText)).Msg("long")
	got := r.Entries()
	if len(got) != maxRecent {
		t.Fatalf("%d entries kept", len(got))
	}
	for i, e := range got[1:] {
		if want := fmt.Sprintf("trouble %d", 10*maxRecent-1-i); e.Message != want {
			t.Errorf("entry %d is %q, not %q", i+1, e.Message, want)
		}
	}
	if n := len(got[0].Cause); n > maxRecentText+len("…") {
		t.Errorf("a cause of %d bytes is kept", n)
	}
}

func TestRecentRefusesLevels(t *testing.T) {
	if _, err := new(Recent).Logger(new(bytes.Buffer), "loud", "text"); err == nil {
		t.Error("a level that there is not is taken")
	}
}
