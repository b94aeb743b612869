package pgstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"sotto/services/smp/internal/queue"
)

const (
	selectService = `SELECT service_id, role, chain, created_day FROM services WHERE fingerprint = $1`
	insertService = `INSERT INTO services (service_id, role, fingerprint, chain, created_day)
		SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM services) < $6 ON CONFLICT DO NOTHING`
	// associate locks the notifiers in the order given, which is that of their ids.
	associate = `WITH w AS (
		SELECT w.n, f.queue_id, f.notifier_id, f.service_id FROM unnest($1::bytea[]) WITH ORDINALITY AS w (id, n)
		JOIN notifiers f ON f.notifier_id = w.id FOR NO KEY UPDATE OF f
	), u AS (
		UPDATE notifiers f SET service_id = $2::bytea FROM w
		WHERE f.notifier_id = w.notifier_id AND f.service_id IS DISTINCT FROM $2::bytea
	) SELECT n, queue_id, service_id FROM w`
	countAssociated = `SELECT count(*) FROM notifiers WHERE service_id = $1`
)

// Service returns the service that has the fingerprint of v, which is v, stored now, if there was none.
//
// Spec: smp.md 4.5
func (s *Store) Service(ctx context.Context, v *queue.Service) (have *queue.Service, err error) {
	err = s.retry(ctx, "service", func(ctx context.Context) error {
		if have, err = s.readService(ctx, v.Fingerprint); !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		_, err := s.pool.Exec(ctx, insertService, v.ID[:], v.Role, v.Fingerprint[:], v.Chain, int32(v.CreatedDay), queue.MaxServices)
		if err != nil {
			return err
		}
		if have, err = s.readService(ctx, v.Fingerprint); errors.Is(err, pgx.ErrNoRows) {
			return queue.ErrFull
		}
		return err
	})
	return have, err
}

func (s *Store) readService(ctx context.Context, fingerprint [32]byte) (*queue.Service, error) {
	v := queue.Service{Fingerprint: fingerprint}
	var id []byte
	if err := s.pool.QueryRow(ctx, selectService, fingerprint[:]).Scan(&id, &v.Role, &v.Chain, &v.CreatedDay); err != nil {
		return nil, err
	}
	var ok bool
	if v.ID, ok = queue.ParseID(id); !ok {
		return nil, errRecord
	}
	return &v, nil
}

// associated is a notifier whose association was changed, and what was in the database.
type associated struct {
	queue queue.Ref
	queue.Associated
}

// Associate associates notifiers with a service, or with none. Calls take turns, so that the cache sees their changes
// in the order of the database.
//
// Spec: smp.md 9.13
func (s *Store) Associate(ctx context.Context, notifiers []queue.ID, service queue.ID) ([]queue.Associated, error) {
	if err := s.enter(ctx, s.associations); err != nil {
		return nil, fmt.Errorf("associate notifiers: %w", err)
	}
	defer func() { <-s.associations }()
	var found []associated
	err := s.retry(ctx, "associate notifiers", func(ctx context.Context) (err error) {
		found, err = s.associate(ctx, notifiers, service)
		return err
	})
	if err != nil {
		s.forgetNotifiers(notifiers)
		return nil, err
	}
	out := make([]queue.Associated, len(found))
	for i, f := range found {
		out[i] = f.Associated
		if f.Gone || f.Before == service {
			continue
		}
		s.records.change(f.queue, func(q *queue.Queue) {
			if n := q.Notifier; n != nil && n.ID == notifiers[i] {
				changed := *n
				changed.Service = service
				q.Notifier = &changed
			}
		})
	}
	return out, nil
}

// associate runs the statement, with the ids in their order.
func (s *Store) associate(ctx context.Context, notifiers []queue.ID, service queue.ID) ([]associated, error) {
	order := make([]int, len(notifiers))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(bytes.Compare(notifiers[a][:], notifiers[b][:]), a-b)
	})
	ids := make([][]byte, len(notifiers))
	out := make([]associated, len(notifiers))
	for n, i := range order {
		ids[n] = notifiers[i][:]
		out[i].Gone = true
	}
	rows, err := s.pool.Query(ctx, associate, ids, encodeID(service))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var n int64
		var ref queue.Ref
		var before []byte
		if err := rows.Scan(&n, &ref, &before); err != nil {
			return nil, err
		}
		id, _ := queue.ParseID(before)
		out[order[n-1]] = associated{queue: ref, Associated: queue.Associated{Before: id}}
	}
	return out, rows.Err()
}

// forgetNotifiers forgets the records of notifiers that nobody knows the associations of.
func (s *Store) forgetNotifiers(ids []queue.ID) {
	found := queue.Lookup{Queues: make([]*queue.Queue, len(ids)), Cached: make([]bool, len(ids))}
	s.records.find(byNotifier, ids, &found)
	for _, q := range found.Queues {
		if q != nil {
			s.records.forget(q.Ref)
		}
	}
}

// CountAssociated returns how many notifiers are associated with a service.
//
// Spec: smp.md 9.13
func (s *Store) CountAssociated(ctx context.Context, service queue.ID) (n int64, err error) {
	err = s.retry(ctx, "count notifiers", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, countAssociated, service[:]).Scan(&n)
	})
	return n, err
}
