package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sotto/shared/pg/pgtest"
)

// layout is a way to keep bodies as pages.
type layout struct {
	name    string
	page    int    // bytes in a page
	storage string // of the column
}

// layouts are those that were compared. The store uses the first.
var layouts = []layout{
	{"rows of one heap page", 8100, "PLAIN"},
	{"pages of 64 KB", 64 << 10, "EXTERNAL"},
}

const (
	benchSize  = 4 << 20
	bareBatch  = 256 << 10
	bareSchema = `CREATE TABLE bare (body bigint NOT NULL, no integer NOT NULL, data bytea NOT NULL, PRIMARY KEY (body, no));
		ALTER TABLE bare ALTER data SET STORAGE %s`
)

// bare moves pages with the driver alone: no chunks, no quota, nothing checked.
type bare struct {
	layout
	pool *pgxpool.Pool
	body []byte
	last atomic.Int64
}

func newBare(b *testing.B, l layout) *bare {
	b.Helper()
	url := pgtest.Open(b)
	pgtest.Exec(b, url, fmt.Sprintf(bareSchema, l.storage))
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		b.Fatal(err)
	}
	config.MaxConns = 16
	for name, value := range settings {
		config.ConnConfig.RuntimeParams[name] = value
	}
	pool, err := pgxpool.NewWithConfig(b.Context(), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(pool.Close)
	body := make([]byte, benchSize)
	_, _ = rand.Read(body)
	return &bare{layout: l, pool: pool, body: body}
}

// up stores one body in batches, of which only the last is synchronous.
func (x *bare) up(ctx context.Context) error {
	number := x.last.Add(1)
	per := bareBatch / x.page
	pages := (benchSize + x.page - 1) / x.page
	for from := 0; from < pages; from += per {
		to := min(from+per, pages)
		err := pgx.BeginFunc(ctx, x.pool, func(tx pgx.Tx) error {
			if to < pages {
				if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
					return err
				}
			}
			no := from
			_, err := tx.CopyFrom(ctx, pgx.Identifier{"bare"}, []string{"body", "no", "data"}, pgx.CopyFromFunc(func() ([]any, error) {
				if no == to {
					return nil, nil
				}
				at := no * x.page
				no++
				return []any{number, int32(no - 1), x.body[at:min(at+x.page, benchSize)]}, nil
			}))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// down reads one body in batches.
func (x *bare) down(ctx context.Context, number int64, into []byte) error {
	per := bareBatch / x.page
	for from, got := 0, 0; got < benchSize; from += per {
		rows, err := x.pool.Query(ctx, "SELECT data FROM bare WHERE body = $1 AND no >= $2 AND no < $3 ORDER BY no", number, from, from+per)
		if err != nil {
			return err
		}
		before := got
		for at := 0; rows.Next(); {
			n := copy(into[at:], rows.RawValues()[0])
			at += n
			got += n
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if got == before {
			return errors.New("pages are missing")
		}
	}
	return nil
}

// concurrently runs do b.N times, by callers at a time.
func concurrently(b *testing.B, callers int, do func() error) {
	b.Helper()
	b.SetBytes(benchSize)
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wait sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	b.StopTimer()
}

func BenchmarkBare(b *testing.B) {
	for _, l := range layouts {
		for _, callers := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("up/%s/%d", l.name, callers), func(b *testing.B) {
				x := newBare(b, l)
				concurrently(b, callers, func() error { return x.up(b.Context()) })
			})
			b.Run(fmt.Sprintf("down/%s/%d", l.name, callers), func(b *testing.B) {
				x := newBare(b, l)
				for range 16 {
					if err := x.up(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
				var next atomic.Int64
				buffers := sync.Pool{New: func() any { return new([bareBatch]byte) }}
				concurrently(b, callers, func() error {
					into := buffers.Get().(*[bareBatch]byte)
					defer buffers.Put(into)
					return x.down(b.Context(), next.Add(1)%16+1, into[:])
				})
			})
		}
	}
}
