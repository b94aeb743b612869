package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
)

// held is what a chunk holds before it is changed.
type held struct {
	known   bool
	body    *int64
	blocked bool
	size    int64
}

// hold reads what the chunk ref holds, for a change that nothing else changes meanwhile.
func (s *Store) hold(ctx context.Context, p *period, ref chunk.Ref, h *held) error {
	if h.known {
		return nil
	}
	statement := fmt.Sprintf("SELECT body, blocked, size FROM %s WHERE period = $1 AND ref = $2 AND created >= $3", p.table("chunks"))
	err := s.pool.QueryRow(ctx, statement, p.start, int64(ref), s.oldest()).Scan(&h.body, &h.blocked, &h.size)
	if errors.Is(err, pgx.ErrNoRows) {
		return chunk.ErrNotFound
	}
	h.known = err == nil
	return err
}

// uncount takes the body that was held out of the counts.
func (h *held) uncount(u *usage, p *period, records int64) {
	if h.body == nil {
		u.add(p, records, 0, 0)
		return
	}
	u.add(p, records, -1, -h.size)
}

// deleteChunk removes everything of a chunk. %[1]s are its pages, %[2]s recipients, %[3]s chunks.
const deleteChunk = `WITH b AS (DELETE FROM %[1]s WHERE period = $1 AND body = $3),
	r AS (DELETE FROM %[2]s WHERE period = $1 AND ref = $2)
	DELETE FROM %[3]s WHERE period = $1 AND ref = $2`

// Delete removes a chunk, its recipients and its body.
func (s *Store) Delete(ctx context.Context, ref chunk.Ref) error {
	var h held
	return s.remove(ctx, "delete chunk", ref, &h, -1, func(ctx context.Context, p *period) error {
		statement := fmt.Sprintf(deleteChunk, p.table("pages"), p.table("recipients"), p.table("chunks"))
		_, err := s.pool.Exec(ctx, statement, p.start, int64(ref), h.body)
		return err
	})
}

// blockChunk blocks a chunk and removes its body.
const blockChunk = `WITH b AS (DELETE FROM %[1]s WHERE period = $1 AND body = $3)
	UPDATE %[2]s SET body = NULL, blocked = true, blocking_reason = $4, blocking_notice = $5, blocking_ttl = $6
	WHERE period = $1 AND ref = $2`

// Block marks a chunk as blocked and removes its body.
func (s *Store) Block(ctx context.Context, ref chunk.Ref, b chunk.Blocking) error {
	var h held
	return s.remove(ctx, "block chunk", ref, &h, 0, func(ctx context.Context, p *period) error {
		statement := fmt.Sprintf(blockChunk, p.table("pages"), p.table("chunks"))
		_, err := s.pool.Exec(ctx, statement, p.start, int64(ref), h.body, b.Reason, b.HasNotice, b.NoticeTTL)
		return err
	})
}

// remove runs a change of a chunk that takes its body away, and counts that once. do may be repeated.
func (s *Store) remove(ctx context.Context, op string, ref chunk.Ref, h *held, records int64, do func(context.Context, *period) error) error {
	p, err := s.periods.of(ref)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return s.alone(ctx, ref, change{
		op: op,
		do: func(ctx context.Context, _ bool) error {
			if err := s.hold(ctx, p, ref, h); err != nil {
				return err
			}
			return do(ctx, p)
		},
		done: func(err error) {
			if err == nil {
				h.uncount(&s.usage, p, records)
			}
		},
	})
}
