package pgstore

import (
	"context"

	"sotto/services/smp/internal/queue"
)

const (
	// saveNotifications locks the notifiers that exist, so that none goes before its notifications are in.
	saveNotifications = `WITH w AS (
		SELECT w.n, f.notifier_id, f.service_id, w.msg, w.at
		FROM unnest($1::bytea[], $2::bytea[], $3::bigint[]) WITH ORDINALITY AS w (id, msg, at, n)
		JOIN notifiers f ON f.notifier_id = w.id FOR KEY SHARE OF f
	), i AS (
		INSERT INTO notifications (notifier_id, msg_id, time) SELECT notifier_id, msg, at FROM w ON CONFLICT DO NOTHING
	) SELECT n, service_id FROM w`
	removeNotifications = `DELETE FROM notifications d USING unnest($1::bytea[], $2::bytea[]) AS w (id, msg)
		WHERE d.notifier_id = w.id AND d.msg_id = w.msg`
	selectNotifications = `SELECT f.notifier_id, f.dh_secret, f.service_id, d.msg_id, d.time
		FROM (SELECT * FROM notifications WHERE (notifier_id, msg_id) > ($1, $2) ORDER BY notifier_id, msg_id LIMIT $3) d
		JOIN notifiers f ON f.notifier_id = d.notifier_id ORDER BY d.notifier_id, d.msg_id`
	expireNotifications = `DELETE FROM notifications WHERE (notifier_id, msg_id) IN (
		SELECT notifier_id, msg_id FROM notifications WHERE time < $1 ORDER BY time LIMIT $2)`

	// expireStep bounds one statement.
	expireStep = 1000
)

// SaveNotifications stores notifications of notifiers that exist.
func (s *Store) SaveNotifications(ctx context.Context, in []queue.Notification) ([]queue.Saved, error) {
	ids, messages, times := keysOf(in)
	var saved []queue.Saved
	err := s.retry(ctx, "save notifications", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, saveNotifications, ids, messages, times)
		if err != nil {
			return err
		}
		defer rows.Close()
		saved = make([]queue.Saved, len(in))
		for i := range saved {
			saved[i].Gone = true
		}
		for rows.Next() {
			var n int64
			var service []byte
			if err := rows.Scan(&n, &service); err != nil {
				return err
			}
			id, _ := queue.ParseID(service)
			saved[n-1] = queue.Saved{Service: id}
		}
		return rows.Err()
	})
	return saved, err
}

// RemoveNotifications removes notifications.
func (s *Store) RemoveNotifications(ctx context.Context, in []queue.Notification) error {
	ids, messages, _ := keysOf(in)
	return s.retry(ctx, "remove notifications", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, removeNotifications, ids, messages)
		return err
	})
}

// SavedNotifications returns a page of what is stored.
func (s *Store) SavedNotifications(ctx context.Context, after *queue.Notification, n int) ([]queue.Notification, error) {
	id, message := []byte{}, []byte{}
	if after != nil {
		id, message = after.Notifier.ID[:], after.MessageID[:]
	}
	var page []queue.Notification
	err := s.retry(ctx, "read notifications", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, selectNotifications, id, message, n)
		if err != nil {
			return err
		}
		defer rows.Close()
		page = page[:0]
		for rows.Next() {
			var t notifierRow
			var message []byte
			var at int64
			if err := rows.Scan(&t.id, &t.secret, &t.service, &message, &at); err != nil {
				return err
			}
			one, err := t.notification(message, at)
			if err != nil {
				return err
			}
			page = append(page, one)
		}
		return rows.Err()
	})
	return page, err
}

// notification is a row that was read with its notifier.
func (t *notifierRow) notification(message []byte, at int64) (n queue.Notification, err error) {
	id, ok := queue.ParseID(t.id)
	if !ok || len(t.secret) != len(n.Notifier.DHSecret) || len(message) != len(n.MessageID) {
		return n, errMessage
	}
	service, _ := queue.ParseID(t.service)
	return queue.Notification{
		Notifier:  queue.Notifier{ID: id, DHSecret: queue.Secret(t.secret), Service: service},
		MessageID: queue.MessageID(message), Time: at,
	}, nil
}

// ExpireNotifications removes old notifications.
//
// Spec: smp.md 10.4
func (s *Store) ExpireNotifications(ctx context.Context, before int64) (removed int64, err error) {
	for {
		var n int64
		err := s.retry(ctx, "expire notifications", func(ctx context.Context) error {
			tag, err := s.pool.Exec(ctx, expireNotifications, before, expireStep)
			n = tag.RowsAffected()
			return err
		})
		removed += n
		if err != nil || n < expireStep {
			return removed, err
		}
	}
}

// keysOf are the columns of notifications.
func keysOf(in []queue.Notification) (ids, messages [][]byte, times []int64) {
	ids, messages, times = make([][]byte, len(in)), make([][]byte, len(in)), make([]int64, len(in))
	for i := range in {
		ids[i], messages[i], times[i] = in[i].Notifier.ID[:], in[i].MessageID[:], in[i].Time
	}
	return ids, messages, times
}
