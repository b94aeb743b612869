package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
)

const (
	// setNotifier deletes before it inserts, because it counts what was deleted. What belongs to the old notifier goes
	// with it, by foreign keys.
	setNotifier = `WITH old AS (
		DELETE FROM notifiers WHERE queue_id = $1 RETURNING notifier_id, service_id
	), new AS (
		INSERT INTO notifiers (notifier_id, queue_id, notifier_key, dh_secret)
		SELECT $2::bytea, q.id, $3::bytea, $4::bytea FROM queues q WHERE q.id = $1 AND (SELECT count(*) FROM old) >= 0
		RETURNING queue_id
	) SELECT (SELECT notifier_id FROM old), (SELECT service_id FROM old), EXISTS (SELECT FROM new)`
	deleteNotifier = `WITH old AS (DELETE FROM notifiers WHERE queue_id = $1 RETURNING notifier_id, service_id)
		SELECT (SELECT notifier_id FROM old), (SELECT service_id FROM old), EXISTS (SELECT FROM queues WHERE id = $1)`
)

// foreignKeyViolation is the SQLSTATE of a row that refers to one that was deleted meanwhile.
const foreignKeyViolation = "23503"

// SetNotifier gives q credentials in place of those it has, and returns what it has replaced.
//
// Spec: smp.md 9.8
func (s *Store) SetNotifier(ctx context.Context, q queue.Ref, n *queue.Notifier) (replaced queue.Ended, err error) {
	record := *n
	record.Service = queue.ID{}
	err = s.change(ctx, "set notifier", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		var err error
		replaced, err = s.replaceNotifier(ctx, setNotifier, int64(q), n.ID[:], encodeKey(n.Key), n.DHSecret[:])
		switch pg.Code(err) {
		case pg.UniqueViolation:
			err = queue.ErrExists
		case foreignKeyViolation:
			err = queue.ErrNotFound
		}
		return oneRow, err
	}, func(q *queue.Queue) { q.Notifier = &record })
	return replaced, err
}

// DeleteNotifier removes the credentials of q, if it has any, and returns what it has removed.
//
// Spec: smp.md 9.8
func (s *Store) DeleteNotifier(ctx context.Context, q queue.Ref) (removed queue.Ended, err error) {
	err = s.change(ctx, "delete notifier", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		var err error
		removed, err = s.replaceNotifier(ctx, deleteNotifier, int64(q))
		return oneRow, err
	}, func(q *queue.Queue) { q.Notifier = nil })
	return removed, err
}

// oneRow is the outcome of a change that has found its queue.
var oneRow = pgconn.NewCommandTag("UPDATE 1")

// replaceNotifier runs one of the statements above.
func (s *Store) replaceNotifier(ctx context.Context, statement string, args ...any) (old queue.Ended, err error) {
	var id, service []byte
	var found bool
	if err := s.pool.QueryRow(ctx, statement, args...).Scan(&id, &service, &found); err != nil {
		return old, err
	}
	if !found {
		return old, queue.ErrNotFound
	}
	old.ID, _ = queue.ParseID(id)
	old.Service, _ = queue.ParseID(service)
	return old, nil
}
