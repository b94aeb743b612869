package pgstore

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	copyMessages = "COPY messages (queue_id, seq, time, flags, msg_id, body) FROM STDIN BINARY"
	copyColumns  = 6
	// copyHeader begins the binary format: signature, flags, no extension.
	copyHeader = "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	// copyFlush is how much is encoded before it is written. The server stores the first rows of a group while
	// the rest is on its way.
	copyFlush = 128 << 10
)

// serverError is the server's answer that it has not stored a group. The session goes on.
type serverError struct{ cause *pgconn.PgError }

func (e *serverError) Error() string { return e.cause.Error() }
func (e *serverError) Unwrap() error { return e.cause }

// copier stores a group with one COPY, which is a transaction. It writes the messages of the protocol itself: the
// command, all rows and the end go out without waiting for the server in between, one row in each CopyData, from
// one buffer that is used again. One large CopyData instead would cost the server a third more time, and the
// driver's CopyFrom a goroutine and two more round trips' worth of wake-ups for each group.
type copier struct {
	buf []byte
}

// send returns nil when the group is committed and a *serverError when it certainly is not. After any other error
// that is not known, and the session must be closed.
func (c *copier) send(ctx context.Context, conn *pgconn.PgConn, group []*appending) error {
	if err := conn.SyncConn(ctx); err != nil {
		return err
	}
	raw := conn.Conn()
	deadline, _ := ctx.Deadline()
	if err := raw.SetDeadline(deadline); err != nil {
		return err
	}
	c.begin()
	for _, p := range group {
		c.row(p)
		if len(c.buf) >= copyFlush {
			if err := c.flush(raw); err != nil {
				return err
			}
		}
	}
	c.end()
	if err := c.flush(raw); err != nil {
		return err
	}
	if err := answer(conn.Frontend()); err != nil {
		return err
	}
	return raw.SetDeadline(time.Time{})
}

func (c *copier) begin() {
	c.buf = append(c.buf[:0], 'Q')
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(4+len(copyMessages)+1))
	c.buf = append(c.buf, copyMessages...)
	c.buf = append(c.buf, 0)
	c.buf = append(c.buf, 'd')
	c.buf = binary.BigEndian.AppendUint32(c.buf, uint32(4+len(copyHeader)))
	c.buf = append(c.buf, copyHeader...)
}

func (c *copier) row(p *appending) {
	m := p.entry.m
	var flags uint16
	if m.Notify {
		flags |= flagNotify
	}
	if m.Quota {
		flags |= flagQuota
	}
	size := 2 + 4*copyColumns + 8 + 8 + 8 + 2 + len(m.ID) + len(m.Body)
	b := append(c.buf, 'd')
	b = binary.BigEndian.AppendUint32(b, uint32(4+size))
	b = binary.BigEndian.AppendUint16(b, copyColumns)
	for _, v := range [...]int64{int64(p.state.ref), p.entry.seq, m.Time.UnixNano()} {
		b = binary.BigEndian.AppendUint32(b, 8)
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	b = binary.BigEndian.AppendUint32(b, 2)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.ID)))
	b = append(b, m.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Body)))
	c.buf = append(b, m.Body...)
}

// end appends the trailer, which is a column count of -1, and CopyDone.
func (c *copier) end() {
	c.buf = append(c.buf, 'd', 0, 0, 0, 6, 0xff, 0xff, 'c', 0, 0, 0, 4)
}

func (c *copier) flush(raw net.Conn) error {
	_, err := raw.Write(c.buf)
	c.buf = c.buf[:0]
	return err
}

// answer reads what the server says to a COPY, up to the end.
func answer(f *pgproto3.Frontend) error {
	var failed *pgconn.PgError
	done := false
	for {
		message, err := f.Receive()
		if err != nil {
			return err
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			failed = pgconn.ErrorResponseToPgError(m)
			if failed.SeverityUnlocalized == "FATAL" || failed.SeverityUnlocalized == "PANIC" {
				return errors.Join(net.ErrClosed, failed)
			}
		case *pgproto3.CommandComplete:
			done = true
		case *pgproto3.ReadyForQuery:
			switch {
			case failed != nil:
				return &serverError{failed}
			case !done:
				return errors.New("COPY ended without a result")
			default:
				return nil
			}
		}
	}
}
