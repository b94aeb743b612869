package pg_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"sotto/shared/pg"
)

func TestMeasureTellsHowAnAttemptEnded(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want pg.Outcome
	}{
		"done":    {nil, pg.Done},
		"refused": {errors.New("disk full"), pg.Refused},
		"away":    {io.ErrUnexpectedEOF, pg.Away},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			measure := pg.Measure(func(op pg.Operation, end pg.Outcome, took time.Duration) {
				calls++
				if op != pg.Lookup || end != c.want || took < time.Hour {
					t.Errorf("measured %s, %s after %v", pg.Operations[op], pg.Outcomes[end], took)
				}
			})
			measure.Note(pg.Lookup, time.Now().Add(-time.Hour), c.err)
			if calls != 1 {
				t.Errorf("measured %d times", calls)
			}
		})
	}
}

func TestMeasureIsSilentAboutWhatWasGivenUp(t *testing.T) {
	measure := pg.Measure(func(pg.Operation, pg.Outcome, time.Duration) { t.Error("measured") })
	measure.Note(pg.Read, time.Now(), context.Canceled)
	pg.Measure(nil).Note(pg.Read, time.Now(), nil)
}
