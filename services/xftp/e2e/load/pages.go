package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"sotto/shared/pg"
)

// pageSize is that of the relay's pages of bodies, in bytes.
const pageSize = 8100

// referenceTable is a table of pages that nothing but the reference uses.
const referenceTable = `CREATE TABLE IF NOT EXISTS reference (body bigint, no integer, data bytea NOT NULL, PRIMARY KEY (body, no));
ALTER TABLE reference ALTER data SET STORAGE PLAIN`

var referenceColumns = []string{"body", "no", "data"}

// pages is the least that a relay has to make Postgres do: each chunk is stored with COPY, in a transaction of its own,
// and read with SELECT.
type pages struct {
	pool   *pgxpool.Pool
	movers []mover
}

func newPages(ctx context.Context, url string, width int) (*pages, error) {
	pool, err := pg.Open(ctx, pg.Options{URL: url, MaxConns: width})
	if err != nil {
		return nil, err
	}
	p := &pages{pool: pool}
	if _, err := pool.Exec(ctx, referenceTable); err != nil {
		pool.Close()
		return nil, err
	}
	body := randomBody()
	for i := range width {
		p.movers = append(p.movers, &pageMover{pool: pool, body: body, last: int64(i), step: int64(width)})
	}
	return p, nil
}

// close removes what was stored.
func (p *pages) close() {
	_, _ = p.pool.Exec(context.Background(), "DROP TABLE reference") // the database goes soon anyway
	p.pool.Close()
}

// pageMover moves chunks to and from Postgres, and no further.
type pageMover struct {
	pool       *pgxpool.Pool
	body       []byte
	last, step int64 // number of the last chunk stored, and from one to the next
}

func (m *pageMover) upload(ctx context.Context) error {
	m.last += m.step
	n := (len(m.body) + pageSize - 1) / pageSize
	source := pgx.CopyFromSlice(n, func(i int) ([]any, error) {
		return []any{m.last, int32(i), m.body[i*pageSize : min((i+1)*pageSize, len(m.body))]}, nil
	})
	_, err := m.pool.CopyFrom(ctx, pgx.Identifier{"reference"}, referenceColumns, source)
	return err
}

func (m *pageMover) download(ctx context.Context) error {
	rows, err := m.pool.Query(ctx, "SELECT data FROM reference WHERE body = $1 ORDER BY no", m.last)
	if err != nil {
		return err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n += len(rows.RawValues()[0])
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if n != len(m.body) {
		return fmt.Errorf("%d bytes came, not %d", n, len(m.body))
	}
	return nil
}

func (m *pageMover) close() {}
