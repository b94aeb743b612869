package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
	"sotto/shared/pg"
)

const (
	// setLink stores a link, or the user data of the same link. The other unique column, link_id, is that of two queues
	// with one link id.
	setLink = `INSERT INTO links (link_id, queue_id, fixed_data, user_data)
		SELECT $2, q.id, $3, $4 FROM queues q WHERE q.id = $1 AND (q.mode = 'C' OR q.sender_key IS NULL)
		ON CONFLICT (queue_id) DO UPDATE SET user_data = excluded.user_data
		WHERE links.link_id = excluded.link_id AND links.fixed_data = excluded.fixed_data`
	readLink   = `SELECT fixed_data, user_data FROM links WHERE queue_id = $1 AND link_id = $2`
	secureLink = `WITH l AS (` + readLink + `), q AS (
		UPDATE queues SET sender_key = $3 WHERE id = $1 AND (sender_key IS NULL OR sender_key = $3) AND EXISTS (SELECT FROM l)
		RETURNING id
	) SELECT fixed_data, user_data FROM l, q`
	// deleteLink counts the link rather than looking for it, so that it is deleted whether or not that is asked.
	deleteLink = `WITH l AS (DELETE FROM links WHERE queue_id = $1 RETURNING queue_id)
		SELECT EXISTS (SELECT FROM queues WHERE id = $1) AND (SELECT count(*) FROM l) >= 0`
	linkRefused = `SELECT mode <> 'C' AND sender_key IS NOT NULL FROM queues WHERE id = $1`
	linkExists  = `SELECT EXISTS (SELECT FROM links WHERE queue_id = $1 AND link_id = $2)`
)

// SetLink gives q a link, or the one that it has other user data.
//
// Spec: smp.md 9.12
func (s *Store) SetLink(ctx context.Context, q queue.Ref, l *queue.Link) error {
	id := l.ID
	return s.change(ctx, "set link", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		tag, err := s.pool.Exec(ctx, setLink, int64(q), id[:], nonNil(l.FixedData), nonNil(l.UserData))
		switch {
		case pg.Code(err) == pg.UniqueViolation:
			return tag, queue.ErrExists
		case err != nil || tag.RowsAffected() > 0:
			return tag, err
		}
		return tag, s.whyNoLink(ctx, q)
	}, func(record *queue.Queue) { record.HasLink, record.LinkID = true, id })
}

// whyNoLink tells why setLink has changed nothing.
func (s *Store) whyNoLink(ctx context.Context, q queue.Ref) error {
	var secured bool
	err := s.pool.QueryRow(ctx, linkRefused, int64(q)).Scan(&secured)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return queue.ErrNotFound
	case err != nil:
		return err
	case secured:
		return queue.ErrSecured
	default:
		return queue.ErrExists
	}
}

// Link returns the data of the link of q.
//
// Spec: smp.md 9.12
func (s *Store) Link(ctx context.Context, q queue.Ref, id queue.ID) (*queue.Link, error) {
	if err := s.usable(); err != nil {
		return nil, err
	}
	l := &queue.Link{ID: id}
	err := s.retry(ctx, "read link", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, readLink, int64(q), id[:]).Scan(&l.FixedData, &l.UserData)
		if errors.Is(err, pgx.ErrNoRows) {
			return queue.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// SecureLink sets the sender key of q and returns its link, both or neither.
//
// Spec: smp.md 9.12
func (s *Store) SecureLink(ctx context.Context, q queue.Ref, id queue.ID, k key.Public) (*queue.Link, error) {
	l := &queue.Link{ID: id}
	err := s.change(ctx, "secure queue", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		err := s.pool.QueryRow(ctx, secureLink, int64(q), id[:], encodeKey(k)).Scan(&l.FixedData, &l.UserData)
		if !errors.Is(err, pgx.ErrNoRows) {
			return oneRow, err
		}
		var exists bool
		if err := s.pool.QueryRow(ctx, linkExists, int64(q), id[:]).Scan(&exists); err != nil {
			return oneRow, err
		}
		if exists {
			return oneRow, queue.ErrSecured
		}
		return oneRow, queue.ErrNotFound
	}, func(record *queue.Queue) { record.SenderKey = k })
	if err != nil {
		return nil, err
	}
	return l, nil
}

// DeleteLink removes the link of q, if it has any.
//
// Spec: smp.md 9.12
func (s *Store) DeleteLink(ctx context.Context, q queue.Ref) error {
	return s.change(ctx, "delete link", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		var exists bool
		err := s.pool.QueryRow(ctx, deleteLink, int64(q)).Scan(&exists)
		if err == nil && !exists {
			err = queue.ErrNotFound
		}
		return oneRow, err
	}, func(record *queue.Queue) { record.HasLink, record.LinkID = false, queue.ID{} })
}
