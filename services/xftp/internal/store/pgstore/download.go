package pgstore

import (
	"context"
	"fmt"
	"io"

	"sotto/services/xftp/internal/chunk"
)

// download reads a body in batches of pages. It holds a connection only while it reads a batch, and memory for one
// batch.
type download struct {
	store  *Store
	ctx    context.Context // of the calls that Read makes
	query  string
	period int32
	body   int64
	left   int64             // bytes not read from the database yet
	page   int32             // the next
	buf    *[bufferSize]byte // nil: not read yet, or closed
	unread []byte            // of buf
	closed bool
}

// Download opens the body of a chunk.
func (s *Store) Download(ctx context.Context, c *chunk.Chunk) (io.ReadCloser, error) {
	p, err := s.periods.of(c.Ref)
	if err != nil {
		return nil, fmt.Errorf("download: %w", err)
	}
	var h held
	err = s.retry(ctx, "download", func(ctx context.Context) error {
		if err := s.hold(ctx, p, c.Ref, &h); err != nil {
			return err
		}
		if h.blocked {
			return chunk.ErrNotFound
		}
		if h.body == nil {
			return chunk.ErrNoBody
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &download{
		store: s, ctx: ctx, period: p.start, body: *h.body, left: h.size,
		query: fmt.Sprintf("SELECT data FROM %s WHERE period = $1 AND body = $2 AND no >= $3 AND no < $4 ORDER BY no", p.table("pages")),
	}, nil
}

// Read returns the next bytes.
func (d *download) Read(b []byte) (int, error) {
	if len(d.unread) == 0 {
		if err := d.fetch(); err != nil {
			return 0, err
		}
	}
	n := copy(b, d.unread)
	d.unread = d.unread[n:]
	return n, nil
}

// WriteTo writes what is left, a batch at a time, without copying it once more.
func (d *download) WriteTo(w io.Writer) (sum int64, err error) {
	for {
		if len(d.unread) == 0 {
			switch err := d.fetch(); {
			case err == io.EOF:
				return sum, nil
			case err != nil:
				return sum, err
			}
		}
		n, err := w.Write(d.unread)
		d.unread = d.unread[n:]
		sum += int64(n)
		if err != nil {
			return sum, err
		}
	}
}

// Close gives the memory back.
func (d *download) Close() error {
	d.closed, d.unread = true, nil
	if d.buf != nil {
		buffers.Put(d.buf)
		d.buf = nil
	}
	return nil
}

// fetch reads the next batch, or returns io.EOF.
func (d *download) fetch() error {
	if d.closed {
		return fmt.Errorf("download: %w", io.ErrClosedPipe)
	}
	if d.left == 0 {
		return io.EOF
	}
	if d.buf == nil {
		d.buf = buffers.Get().(*[bufferSize]byte)
	}
	var got, pages int
	err := d.store.retry(d.ctx, "download", func(ctx context.Context) (err error) {
		got, pages, err = d.read(ctx)
		return err
	})
	if err != nil {
		return err
	}
	d.page += int32(pages)
	d.left -= int64(got)
	d.unread = d.buf[:got]
	return nil
}

// read reads a batch into buf. Fewer bytes than there must be mean that the body was removed.
func (d *download) read(ctx context.Context) (got, pages int, err error) {
	if err := d.store.takePlace(ctx); err != nil {
		return 0, 0, err
	}
	defer d.store.givePlace()
	rows, err := d.store.pool.Query(ctx, d.query, d.period, d.body, d.page, d.page+batchPages)
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	for rows.Next() {
		got += copy(d.buf[got:], rows.RawValues()[0])
		pages++
	}
	if err := rows.Err(); err != nil {
		return 0, 0, err
	}
	if int64(got) != min(d.left, batchPages*pageSize) {
		return 0, 0, chunk.ErrNotFound
	}
	return got, pages, nil
}
