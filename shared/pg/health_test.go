package pg_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"sotto/shared/pg"
)

// TestRefusalsAreToldOnceAMinute, and without what they are about.
func TestRefusalsAreToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := pg.NewHealth(zerolog.New(&log))
		full := &pgconn.PgError{Code: "53100", Message: "s3cret", Detail: "s3cret"}
		for range 200 {
			h.Refused("store pages", full)
			time.Sleep(time.Second)
		}
		if n := strings.Count(log.String(), "53100"); n != 4 {
			t.Errorf("told %d times in 200 seconds", n)
		}
		if strings.Contains(log.String(), "s3cret") {
			t.Error("the details are told")
		}
	})
}

// TestOutagesAreToldOnce goes through an outage as a store sees it.
func TestOutagesAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		h := pg.NewHealth(zerolog.New(&log))
		gone := &pgconn.PgError{Code: "57P01"}
		for range 2 {
			for range 100 {
				h.Note(gone)
				time.Sleep(100 * time.Millisecond)
			}
			h.Note(nil)
			h.Note(nil)
		}
		if away, back := strings.Count(log.String(), "is away"), strings.Count(log.String(), "is back"); away != 2 || back != 2 {
			t.Errorf("two outages were told %d times, their ends %d times", away, back)
		}
		h.Note(gone)
		h.Note(nil)
		if strings.Count(log.String(), "is away") != 2 {
			t.Error("a single failure is called an outage")
		}
	})
}
