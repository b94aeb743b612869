package pgstore

import (
	"context"
	"fmt"

	"sotto/services/xftp/internal/chunk"
)

// unblockChunk takes the mark of a blocked chunk away, and nothing from one that is not blocked.
const unblockChunk = `UPDATE %s SET blocked = false, blocking_reason = '', blocking_notice = false, blocking_ttl = 0
	WHERE period = $1 AND ref = $2 AND blocked`

// Unblock takes the mark of a blocked chunk away.
func (s *Store) Unblock(ctx context.Context, ref chunk.Ref) error {
	const op = "unblock chunk"
	p, err := s.periods.of(ref)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return s.alone(ctx, ref, change{
		op: op,
		do: func(ctx context.Context, _ bool) error {
			var h held
			if err := s.hold(ctx, p, ref, &h); err != nil || !h.blocked {
				return err
			}
			_, err := s.pool.Exec(ctx, fmt.Sprintf(unblockChunk, p.table("chunks")), p.start, int64(ref))
			return err
		},
	})
}
