package pgstore

import (
	"context"
	"fmt"
	"io"

	"sotto/services/xftp/internal/chunk"
)

// readPages is how many pages a download reads at once: one part of its buffer.
const readPages = batchPages / 2

// download reads a body in batches of pages, each while the one before is on its way to the client. It holds a connection
// only while it reads a batch, and memory for two.
type download struct {
	store  *Store
	ctx    context.Context // of the calls that Read makes
	query  string
	period int32
	body   int64
	left   int64             // bytes that nobody has begun to read
	page   int32             // the next
	buf    *[bufferSize]byte // nil: not read yet, or closed
	part   int               // of buf, where the next batch goes
	ahead  chan fetched      // where the batch comes that is read ahead
	behind bool              // there is none
	unread []byte            // of buf
	err    error             // of the last batch
}

// fetched is what came of reading a batch.
type fetched struct {
	data []byte
	err  error
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
		store: s, ctx: ctx, period: p.start, body: *h.body, left: h.size, behind: true, ahead: make(chan fetched, 1),
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
	if !d.behind {
		<-d.ahead
		d.behind = true
	}
	d.unread, d.err = nil, fmt.Errorf("download: %w", io.ErrClosedPipe)
	if d.buf != nil {
		buffers.Put(d.buf)
		d.buf = nil
	}
	return nil
}

// fetch takes the next batch, and begins to read the one after it. At the end it returns io.EOF.
func (d *download) fetch() error {
	if d.err != nil {
		return d.err
	}
	if d.behind {
		if d.left == 0 {
			return io.EOF
		}
		if d.buf == nil {
			d.buf = buffers.Get().(*[bufferSize]byte)
		}
		d.readAhead()
	}
	next := <-d.ahead
	d.behind = true
	if d.err = next.err; d.err != nil {
		return d.err
	}
	d.unread = next.data
	if d.left > 0 {
		d.readAhead()
	}
	return nil
}

// readAhead begins to read the next batch into the part of the buffer that is free.
func (d *download) readAhead() {
	const partSize = bufferSize / 2
	into := d.buf[d.part*partSize:][:partSize]
	from, want := d.page, min(d.left, readPages*pageSize)
	d.part = 1 - d.part
	d.page += readPages
	d.left -= want
	d.behind = false
	go func() {
		err := d.store.retry(d.ctx, "download", func(ctx context.Context) error { return d.read(ctx, into[:want], from) })
		d.ahead <- fetched{into[:want], err}
	}()
}

// read fills into with the pages from this one on. Fewer bytes than there must be mean that the body was removed.
func (d *download) read(ctx context.Context, into []byte, from int32) error {
	if err := d.store.takePlace(ctx); err != nil {
		return err
	}
	defer d.store.givePlace()
	rows, err := d.store.pool.Query(ctx, d.query, d.period, d.body, from, from+readPages)
	if err != nil {
		return err
	}
	defer rows.Close()
	got := 0
	for rows.Next() {
		got += copy(into[got:], rows.RawValues()[0])
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if got != len(into) {
		return chunk.ErrNotFound
	}
	return nil
}
