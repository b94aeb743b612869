package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"sotto/services/smp/internal/queue"
)

const (
	// noBlocking is what the columns say when a queue is not blocked.
	noBlocking = `blocking_reason = '', blocking_notice = false, blocking_ttl = 0, blocking_was_off = false`
	// blockQueue and unblockQueue do what the methods of queue.Queue do to a record.
	blockQueue = `UPDATE queues SET status = 'B', blocking_reason = $2, blocking_notice = $3, blocking_ttl = $4,
		blocking_was_off = (status = 'O' OR (status = 'B' AND blocking_was_off)) WHERE id = $1`
	unblockQueue = `UPDATE queues SET status = CASE WHEN status <> 'B' THEN status WHEN blocking_was_off THEN 'O' ELSE 'A' END, ` +
		noBlocking + ` WHERE id = $1`
)

// Block sets the status to blocked.
//
// Spec: smp.md 8.3
func (s *Store) Block(ctx context.Context, q queue.Ref, b queue.Blocking) error {
	return s.change(ctx, "block queue", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		return s.pool.Exec(ctx, blockQueue, int64(q), b.Reason, b.HasNotice, b.NoticeTTL)
	}, func(record *queue.Queue) { record.Block(b) })
}

// Unblock gives a blocked queue the status that it had before.
//
// Spec: smp.md 8.3
func (s *Store) Unblock(ctx context.Context, q queue.Ref) error {
	return s.change(ctx, "unblock queue", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		return s.pool.Exec(ctx, unblockQueue, int64(q))
	}, (*queue.Queue).Unblock)
}
