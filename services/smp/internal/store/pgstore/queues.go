package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sotto/services/smp/internal/queue"
	"sotto/shared/key"
	"sotto/shared/pg"
)

const (
	insertQueue = `WITH q AS (
		INSERT INTO queues (recipient_id, sender_id, recipient_keys, dh_secret, sender_key, mode, status,
			blocking_reason, blocking_notice, blocking_ttl, blocking_was_off, updated_day, service_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $20, $11, $18) RETURNING id
	), n AS (
		INSERT INTO notifiers (notifier_id, queue_id, notifier_key, dh_secret, service_id)
		SELECT $15::bytea, id, $16::bytea, $17::bytea, $19::bytea FROM q WHERE $15::bytea IS NOT NULL
	), l AS (
		INSERT INTO links (link_id, queue_id, fixed_data, user_data)
		SELECT $12::bytea, id, $13::bytea, $14::bytea FROM q WHERE $12::bytea IS NOT NULL
	) SELECT id FROM q`
	selectQueues = `SELECT w.n, q.id, q.recipient_id, q.sender_id, q.recipient_keys, q.dh_secret, q.sender_key, q.mode,
		q.status, q.blocking_reason, q.blocking_notice, q.blocking_ttl, q.blocking_was_off, q.updated_day, q.service_id,
		l.link_id, t.notifier_id, t.notifier_key, t.dh_secret, t.service_id
		FROM unnest($1::bytea[]) WITH ORDINALITY AS w (id, n) %s
		LEFT JOIN links l ON l.queue_id = q.id LEFT JOIN notifiers t ON t.queue_id = q.id`
	secureQueue = `UPDATE queues SET sender_key = $2 WHERE id = $1 AND (sender_key IS NULL OR sender_key = $2)`
	countQueues = `SELECT count(*) FROM queues`
	queueExists = `SELECT EXISTS (SELECT FROM queues WHERE id = $1)`
	setKeys     = `UPDATE queues SET recipient_keys = $2 WHERE id = $1`
	suspend     = `UPDATE queues SET status = $2, ` + noBlocking + ` WHERE id = $1`
)

// selectBy is selectQueues for each index.
var selectBy = [indexes]string{
	byRecipient: fmt.Sprintf(selectQueues, "JOIN queues q ON q.recipient_id = w.id"),
	bySender:    fmt.Sprintf(selectQueues, "JOIN queues q ON q.sender_id = w.id"),
	byNotifier:  fmt.Sprintf(selectQueues, "JOIN notifiers f ON f.notifier_id = w.id JOIN queues q ON q.id = f.queue_id"),
	byLink:      fmt.Sprintf(selectQueues, "JOIN links f ON f.link_id = w.id JOIN queues q ON q.id = f.queue_id"),
}

// Create stores q with an optional link and sets q.Ref, or returns queue.ErrExists.
func (s *Store) Create(ctx context.Context, q *queue.Queue, link *queue.Link) error {
	record := *q
	record.RecipientKeys = slices.Clone(q.RecipientKeys)
	record.HasLink, record.LinkID = false, queue.ID{}
	if link != nil {
		record.HasLink, record.LinkID = true, link.ID
	}
	readAt := s.records.now()
	unsure := false // an earlier attempt may have stored the queue
	err := s.retry(ctx, "create queue", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, insertQueue, insertArgs(&record, link)...).Scan(&record.Ref)
		if pg.Code(err) == pg.UniqueViolation {
			if unsure {
				return s.adopt(ctx, &record)
			}
			return queue.ErrExists
		}
		unsure = unsure || (err != nil && !pg.NotSent(err))
		return err
	})
	if err != nil {
		return err
	}
	q.Ref = record.Ref
	s.count.Add(1)
	s.records.put(&record, readAt)
	s.addEmpty(record.Ref)
	return nil
}

// Count returns how many queues there are: counted when the store was opened, and kept since.
func (s *Store) Count() int64 { return s.count.Load() }

func insertArgs(q *queue.Queue, link *queue.Link) []any {
	var linkID, fixed, user []byte
	if link != nil {
		linkID, fixed, user = link.ID[:], nonNil(link.FixedData), nonNil(link.UserData)
	}
	var notifierID, notifierKey, notifierSecret, notifierService []byte
	if n := q.Notifier; n != nil {
		notifierID, notifierKey, notifierSecret, notifierService = n.ID[:], encodeKey(n.Key), n.DHSecret[:], encodeID(n.Service)
	}
	return []any{
		q.RecipientID[:], q.SenderID[:], encodeKeys(q.RecipientKeys), q.DHSecret[:], encodeKey(q.SenderKey),
		byte(q.Mode), byte(q.Status), q.Blocking.Reason, q.Blocking.HasNotice, q.Blocking.NoticeTTL, int32(q.UpdatedDay),
		linkID, fixed, user, notifierID, notifierKey, notifierSecret, encodeID(q.Service), notifierService, q.Blocking.WasOff,
	}
}

// encodeID stores no id as null.
func encodeID(id queue.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return id[:]
}

// adopt decides whether the queue that has one of q's ids is q itself, stored by an attempt whose answer was lost.
func (s *Store) adopt(ctx context.Context, q *queue.Queue) error {
	found, err := s.read(ctx, byRecipient, []queue.ID{q.RecipientID})
	if err != nil {
		return err
	}
	if found[0] == nil || found[0].SenderID != q.SenderID || found[0].DHSecret != q.DHSecret {
		return queue.ErrExists
	}
	q.Ref = found[0].Ref
	return nil
}

// ByRecipient returns the records with these recipient ids.
func (s *Store) ByRecipient(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(ctx, byRecipient, ids, fresh)
}

// BySender returns the records with these sender ids.
func (s *Store) BySender(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(ctx, bySender, ids, fresh)
}

// ByNotifier returns the records with these notifier ids.
func (s *Store) ByNotifier(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(ctx, byNotifier, ids, fresh)
}

// ByLink returns the records with these link ids.
func (s *Store) ByLink(ctx context.Context, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	return s.lookup(ctx, byLink, ids, fresh)
}

func (s *Store) lookup(ctx context.Context, by index, ids []queue.ID, fresh bool) (queue.Lookup, error) {
	if err := s.usable(); err != nil {
		return queue.Lookup{}, err
	}
	found := queue.Lookup{Queues: make([]*queue.Queue, len(ids)), Cached: make([]bool, len(ids))}
	var missing []int
	if fresh {
		missing = make([]int, len(ids))
		for i := range ids {
			missing[i] = i
		}
	} else {
		missing = s.records.find(by, ids, &found)
	}
	if len(missing) == 0 {
		return found, nil
	}
	wanted := make([]queue.ID, len(missing))
	for i, at := range missing {
		wanted[i] = ids[at]
	}
	readAt := s.records.now()
	var read []*queue.Queue
	err := s.retry(ctx, "look up queues", func(ctx context.Context) (err error) {
		read, err = s.read(ctx, by, wanted)
		return err
	})
	if err != nil {
		return queue.Lookup{}, err
	}
	for i, q := range read {
		if q != nil {
			found.Queues[missing[i]] = q
			s.records.put(q, readAt)
		}
	}
	return found, nil
}

// read reads records from the database, in the order of ids, nil for those unknown.
func (s *Store) read(ctx context.Context, by index, ids []queue.ID) ([]*queue.Queue, error) {
	wanted := make([][]byte, len(ids))
	for i := range ids {
		wanted[i] = ids[i][:]
	}
	rows, err := s.pool.Query(ctx, selectBy[by], wanted)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := make([]*queue.Queue, len(ids))
	for rows.Next() {
		n, q, err := scanQueue(rows)
		if err != nil {
			return nil, err
		}
		found[n-1] = q
	}
	return found, rows.Err()
}

// row is a queue record as it is read.
type row struct {
	queue                                               queue.Queue
	n                                                   int64
	recipient, sender, secret, senderKey, link, service []byte
	keys                                                [][]byte
	mode, status                                        byte
	notifier                                            notifierRow
}

type notifierRow struct{ id, key, secret, service []byte }

func scanQueue(rows pgx.Rows) (int64, *queue.Queue, error) {
	r := new(row)
	q, t := &r.queue, &r.notifier
	err := rows.Scan(&r.n, &q.Ref, &r.recipient, &r.sender, &r.keys, &r.secret, &r.senderKey, &r.mode, &r.status,
		&q.Blocking.Reason, &q.Blocking.HasNotice, &q.Blocking.NoticeTTL, &q.Blocking.WasOff, &q.UpdatedDay, &r.service,
		&r.link, &t.id, &t.key, &t.secret, &t.service)
	if err != nil {
		return 0, nil, err
	}
	if err := r.decode(); err != nil {
		return 0, nil, errRecord
	}
	return r.n, q, nil
}

// decode fills in the record; an error means that the relay did not write this row.
func (r *row) decode() error {
	q := &r.queue
	var err error
	id := func(b []byte, optional bool) (id queue.ID) {
		if b == nil && optional {
			return id
		}
		id, ok := queue.ParseID(b)
		if !ok {
			err = errRecord
		}
		return id
	}
	secret := func(b []byte) (s queue.Secret) {
		if copy(s[:], b) != len(b) || len(b) != len(s) {
			err = errRecord
		}
		return s
	}
	public := func(der []byte) key.Public {
		k, bad := key.Parse(der)
		if bad != nil {
			err = errRecord
		}
		return k
	}
	q.RecipientID, q.SenderID, q.DHSecret = id(r.recipient, false), id(r.sender, false), secret(r.secret)
	q.Mode, q.Status = queue.Mode(r.mode), queue.Status(r.status)
	q.LinkID, q.HasLink, q.Service = id(r.link, true), r.link != nil, id(r.service, true)
	q.RecipientKeys = make([]key.Public, len(r.keys))
	for i, der := range r.keys {
		q.RecipientKeys[i] = public(der)
	}
	if r.senderKey != nil {
		q.SenderKey = public(r.senderKey)
	}
	if t := &r.notifier; t.id != nil {
		q.Notifier = &queue.Notifier{ID: id(t.id, false), Key: public(t.key), DHSecret: secret(t.secret), Service: id(t.service, true)}
	}
	return err
}

// errRecord says that a row is not one that the relay writes.
var errRecord = errors.New("a queue record in the database is damaged")

// Secure sets the sender key.
//
// Spec: smp.md 8.2
func (s *Store) Secure(ctx context.Context, q queue.Ref, k key.Public) error {
	return s.change(ctx, "secure queue", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		tag, err := s.pool.Exec(ctx, secureQueue, int64(q), encodeKey(k))
		if err != nil || tag.RowsAffected() > 0 {
			return tag, err
		}
		var exists bool
		if err := s.pool.QueryRow(ctx, queueExists, int64(q)).Scan(&exists); err != nil {
			return tag, err
		}
		if exists {
			return tag, queue.ErrSecured
		}
		return tag, queue.ErrNotFound
	}, func(record *queue.Queue) { record.SenderKey = k })
}

// SetRecipientKeys replaces all recipient keys.
func (s *Store) SetRecipientKeys(ctx context.Context, q queue.Ref, keys []key.Public) error {
	keys = slices.Clone(keys)
	return s.change(ctx, "set recipient keys", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		return s.pool.Exec(ctx, setKeys, int64(q), encodeKeys(keys))
	}, func(record *queue.Queue) { record.RecipientKeys = keys })
}

// Suspend sets the status to off.
//
// Spec: smp.md 8.3
func (s *Store) Suspend(ctx context.Context, q queue.Ref) error {
	return s.change(ctx, "suspend queue", q, func(ctx context.Context) (pgconn.CommandTag, error) {
		return s.pool.Exec(ctx, suspend, int64(q), byte(queue.Off))
	}, func(record *queue.Queue) { record.Status, record.Blocking = queue.Off, queue.Blocking{} })
}

// change runs an update of one record and then changes the cached record in the same way. Changes of one record
// take turns, so that the cache sees them in the order of the database. An update of no row is queue.ErrNotFound.
func (s *Store) change(ctx context.Context, op string, q queue.Ref,
	update func(context.Context) (pgconn.CommandTag, error), edit func(*queue.Queue),
) error {
	turn := s.changes[stripe(q)]
	if err := s.enter(ctx, turn); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer func() { <-turn }()
	err := s.retry(ctx, op, func(ctx context.Context) error {
		tag, err := update(ctx)
		if err == nil && tag.RowsAffected() == 0 {
			return queue.ErrNotFound
		}
		return err
	})
	if err == nil {
		s.records.change(q, edit)
	} else { // also an answer may mean that the cached record is not the one in the database
		s.records.forget(q)
	}
	return err
}

// enter waits for a place in turn, at most Options.Wait.
func (s *Store) enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(s.options.Wait)
	defer timer.Stop()
	select {
	case turn <- struct{}{}:
		return nil
	case <-timer.C:
		return queue.ErrUnavailable
	case <-ctx.Done():
		return ctx.Err()
	}
}

func encodeKey(k key.Public) []byte {
	if k.IsZero() {
		return nil
	}
	return k.AppendDER(nil)
}

func encodeKeys(keys []key.Public) [][]byte {
	encoded := make([][]byte, len(keys))
	for i, k := range keys {
		encoded[i] = k.AppendDER(nil)
	}
	return encoded
}

// nonNil keeps an empty value from being stored as null.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
