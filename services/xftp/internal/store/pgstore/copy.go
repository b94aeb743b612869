package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"sotto/shared/pg"
)

const (
	// bufferSize is what an upload or a download holds in memory at most.
	bufferSize = 256 << 10
	// pageSize is the number of bytes in a page of a body: with its row's head, 8,160 bytes fill a page of a table.
	// Compared with pages of 64 KB, which Postgres cuts into pieces of 2 KB in a second table with an index, they
	// are stored with less work, and read as fast.
	pageSize = 8100
	// batchPages is how many pages are stored or read at once.
	batchPages = 32
	// rowHead is what the row of a page has before its data: the head of a CopyData message, the number of columns,
	// and the columns body, period and no.
	rowHead = 5 + 2 + 12 + 8 + 8 + 4
	// copyHeader begins the binary format: signature, flags, no extension.
	copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	copyPages  = "SET LOCAL synchronous_commit = off; COPY pages_%d (body, period, no, data) FROM STDIN BINARY"
)

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// batch is some pages of a body as the messages of the protocol that store them: the command, a CopyData for each
// page, and the end. They go out at once, without waiting for the server in between. Bytes are put where they are
// sent from.
type batch struct {
	buf  *[bufferSize]byte
	at   int // the end of what is in buf
	row  int // where the last row begins
	open bool
	rows int

	body   int64
	period int32
	first  int32 // the number of the first page
}

func newBatch(p *period, body int64, first int32) *batch {
	b := &batch{buf: buffers.Get().(*[bufferSize]byte), body: body, period: p.start, first: first}
	command := fmt.Sprintf(copyPages, p.start)
	out := append(b.buf[:0], 'Q')
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(command)+1))
	out = append(out, command...)
	out = append(out, 0, 'd')
	out = binary.BigEndian.AppendUint32(out, uint32(4+len(copyHeader)))
	b.at = len(append(out, copyHeader...))
	return b
}

func (b *batch) free() {
	buffers.Put(b.buf)
	b.buf = nil
}

// add takes bytes of p as far as the last page has room for them, and returns how many.
func (b *batch) add(p []byte) int {
	if !b.open {
		b.begin()
	}
	end := b.row + rowHead + pageSize
	n := copy(b.buf[b.at:end], p)
	b.at += n
	if b.at == end {
		b.close()
	}
	return n
}

// begin begins a row.
func (b *batch) begin() {
	b.row = b.at
	out := append(b.buf[:b.row], 'd', 0, 0, 0, 0, 0, 4, 0, 0, 0, 8)
	out = binary.BigEndian.AppendUint64(out, uint64(b.body))
	out = append(out, 0, 0, 0, 4)
	out = binary.BigEndian.AppendUint32(out, uint32(b.period))
	out = append(out, 0, 0, 0, 4)
	out = binary.BigEndian.AppendUint32(out, uint32(b.first)+uint32(b.rows))
	b.at = len(append(out, 0, 0, 0, 0))
	b.open = true
	b.rows++
}

// close writes the lengths of the last row, which were not known when it began.
func (b *batch) close() {
	binary.BigEndian.PutUint32(b.buf[b.row+1:], uint32(b.at-b.row-1))
	binary.BigEndian.PutUint32(b.buf[b.row+rowHead-4:], uint32(b.at-b.row-rowHead))
	b.open = false
}

func (b *batch) full() bool { return b.rows == batchPages && !b.open }

// end appends the trailer, which is a column count of -1, and CopyDone.
func (b *batch) end() {
	if b.open {
		b.close()
	}
	b.at = len(append(b.buf[:b.at], 'd', 0, 0, 0, 6, 0xff, 0xff, 'c', 0, 0, 0, 4))
}

// storePages stores a batch, which is one transaction. Its commit is not waited for.
func (s *Store) storePages(ctx context.Context, b *batch) error {
	again := false
	return s.retry(ctx, "store pages", func(ctx context.Context) error {
		if err := s.takePlace(ctx); err != nil {
			return err
		}
		defer s.givePlace()
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return err
		}
		refused, err := b.send(ctx, conn.Conn().PgConn())
		if err != nil {
			again = true
			pg.CloseConn(conn.Hijack())
			return err
		}
		conn.Release()
		if again && pg.Code(refused) == pg.UniqueViolation {
			return nil // the attempt whose answer was lost has stored it
		}
		return refused
	})
}

// takePlace waits until not too many batches are on their way.
func (s *Store) takePlace(ctx context.Context) error {
	select {
	case s.transfers <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) givePlace() { <-s.transfers }

// send stores the batch. refused is the server's error: it has not stored it, and the connection goes on. After err
// what became of the batch is not known, and the connection must be closed.
func (b *batch) send(ctx context.Context, conn *pgconn.PgConn) (refused, err error) {
	if err := conn.SyncConn(ctx); err != nil {
		return nil, err
	}
	raw := conn.Conn()
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	if _, err = raw.Write(b.buf[:b.at]); err == nil {
		refused, err = b.receive(conn.Frontend())
	}
	if !stop() && err == nil {
		err = ctx.Err() // the connection has a deadline that nobody takes away any more
	}
	if err != nil {
		return nil, err
	}
	return refused, raw.SetDeadline(time.Time{})
}

// receive reads what the server says to the commands, up to the end.
func (b *batch) receive(f *pgproto3.Frontend) (refused, err error) {
	copied := pgconn.CommandTag{}
	for {
		message, err := f.Receive()
		if err != nil {
			return nil, err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			failed := pgconn.ErrorResponseToPgError(m)
			if failed.SeverityUnlocalized == "FATAL" || failed.SeverityUnlocalized == "PANIC" {
				return nil, errors.Join(net.ErrClosed, failed)
			}
			refused = failed
		case *pgproto3.CommandComplete:
			copied = pgconn.NewCommandTag(string(m.CommandTag))
		case *pgproto3.ReadyForQuery:
			if refused == nil && copied.RowsAffected() != int64(b.rows) {
				return nil, errors.New("COPY has not stored every page")
			}
			return refused, nil
		}
	}
}
