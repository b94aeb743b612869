package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/key"
)

// idsOf returns the ids, the sender's first when there is one, as they are and as parameters.
func idsOf(sender *chunk.ID, recipients []chunk.Recipient) (ids []chunk.ID, params [][]byte) {
	if sender != nil {
		ids = append(ids, *sender)
	}
	for _, r := range recipients {
		ids = append(ids, r.ID)
	}
	params = make([][]byte, len(ids))
	for i := range ids {
		params[i] = ids[i][:]
	}
	return ids, params
}

func keysOf(recipients []chunk.Recipient) [][]byte {
	keys := make([][]byte, len(recipients))
	for i, r := range recipients {
		keys[i] = r.Key.AppendDER(nil)
	}
	return keys
}

// createChunk stores a chunk and its recipients unless an id is taken. Rows with the same ref come from an earlier
// attempt. %[1]s and %[2]s are the tables, %[3]s finds refs that have the ids $1.
const createChunk = `WITH taken AS MATERIALIZED (SELECT FROM (%[3]s) t WHERE ref <> $2),
	c AS (INSERT INTO %[1]s (period, ref, sender_id, sender_key, size, digest, created)
		SELECT $3, $2, $4, $5, $6, $7, $8 WHERE NOT EXISTS (SELECT FROM taken) ON CONFLICT DO NOTHING),
	r AS (INSERT INTO %[2]s (period, ref, recipient_id, key)
		SELECT $3, $2, * FROM unnest($9::bytea[], $10::bytea[]) WHERE NOT EXISTS (SELECT FROM taken) ON CONFLICT DO NOTHING)
	SELECT EXISTS (SELECT FROM taken)`

// Create stores a new chunk with its recipients.
func (s *Store) Create(ctx context.Context, c *chunk.Chunk, recipients []chunk.Recipient) error {
	ids, params := idsOf(&c.SenderID, recipients)
	if err := s.ids.reserve(ids); err != nil {
		return fmt.Errorf("create chunk: %w", err)
	}
	row := *c // the caller's may change once it was told of a failure
	var p *period
	err := s.change(ctx, change{
		op: "create chunk",
		do: func(ctx context.Context, _ bool) (err error) {
			if p == nil {
				if p, err = s.place(ctx, &row); err != nil {
					return err
				}
			}
			digest := row.Digest
			if digest == nil {
				digest = []byte{}
			}
			var taken bool
			err = s.periods.all(func(q *queries) error {
				statement := fmt.Sprintf(createChunk, p.table("chunks"), p.table("recipients"), q.taken)
				return s.pool.QueryRow(ctx, statement, params, int64(row.Ref), p.start, row.SenderID[:],
					row.SenderKey.AppendDER(nil), int64(row.Size), digest, row.Created, params[1:], keysOf(recipients)).Scan(&taken)
			})
			if err == nil && taken {
				err = chunk.ErrExists
			}
			return err
		},
		done: func(err error) {
			s.ids.release(ids)
			if err == nil {
				s.usage.add(p, 1, 0, 0)
			}
		},
	})
	if err == nil {
		c.Ref = row.Ref
	}
	return err
}

// place gives a new chunk its period and ref.
func (s *Store) place(ctx context.Context, c *chunk.Chunk) (*period, error) {
	p, err := s.period(ctx, c.Created)
	if err != nil {
		return nil, err
	}
	n, err := s.number(ctx)
	if err != nil {
		return nil, err
	}
	c.Ref = newRef(n, p)
	return p, nil
}

// addRecipients is the second half of createChunk. $6 says whether rows with the same ref may come from an earlier
// attempt.
const addRecipients = `WITH c AS MATERIALIZED (SELECT FROM %[1]s WHERE period = $3 AND ref = $2 AND NOT blocked AND created >= $7),
	taken AS MATERIALIZED (SELECT FROM (%[3]s) t WHERE NOT $6 OR ref <> $2),
	r AS (INSERT INTO %[2]s (period, ref, recipient_id, key)
		SELECT $3, $2, * FROM unnest($4::bytea[], $5::bytea[])
		WHERE EXISTS (SELECT FROM c) AND NOT EXISTS (SELECT FROM taken) ON CONFLICT DO NOTHING)
	SELECT EXISTS (SELECT FROM c), EXISTS (SELECT FROM taken)`

// AddRecipients adds recipients to a chunk.
func (s *Store) AddRecipients(ctx context.Context, ref chunk.Ref, recipients []chunk.Recipient) error {
	p, err := s.periods.of(ref)
	if err != nil {
		return fmt.Errorf("add recipients: %w", err)
	}
	ids, params := idsOf(nil, recipients)
	if err := s.ids.reserve(ids); err != nil {
		return fmt.Errorf("add recipients: %w", err)
	}
	return s.alone(ctx, ref, change{
		op: "add recipients",
		do: func(ctx context.Context, again bool) error {
			var found, taken bool
			err := s.periods.all(func(q *queries) error {
				statement := fmt.Sprintf(addRecipients, p.table("chunks"), p.table("recipients"), q.taken)
				return s.pool.QueryRow(ctx, statement, params, int64(ref), p.start, params, keysOf(recipients), again,
					s.oldest()).Scan(&found, &taken)
			})
			switch {
			case err != nil:
				return err
			case !found:
				return chunk.ErrNotFound
			case taken:
				return chunk.ErrExists
			default:
				return nil
			}
		},
		done: func(error) { s.ids.release(ids) },
	})
}

// scanChunk reads recordColumns, and into more what comes after them.
func scanChunk(row pgx.Row, more ...any) (*chunk.Chunk, error) {
	c := new(chunk.Chunk)
	var ref, size int64
	var sender, senderKey []byte
	into := append([]any{
		&ref, &c.Uploaded, &size, &c.Created, &c.Blocked, &c.Blocking.Reason, &c.Blocking.HasNotice, &c.Blocking.NoticeTTL,
		&sender, &senderKey, &c.Digest,
	}, more...)
	if err := row.Scan(into...); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, chunk.ErrNotFound
		}
		return nil, err
	}
	var ok bool
	var err error
	if c.SenderID, ok = chunk.ParseID(sender); !ok {
		return nil, errRecord
	}
	if c.SenderKey, err = key.ParseAuth(senderKey); err != nil {
		return nil, errRecord
	}
	c.Ref, c.Size = chunk.Ref(ref), uint32(size)
	return c, nil
}

var errRecord = errors.New("a record in the database is not valid")

// BySender returns the record with this sender id.
func (s *Store) BySender(ctx context.Context, id chunk.ID) (c *chunk.Chunk, err error) {
	err = s.lookUp(ctx, "look up chunk", func(ctx context.Context, q *queries) error {
		c, err = scanChunk(s.pool.QueryRow(ctx, q.bySender, id[:], s.oldest()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ByRecipient returns the record that has this recipient, and the recipient's key.
func (s *Store) ByRecipient(ctx context.Context, id chunk.ID) (c *chunk.Chunk, k key.Public, err error) {
	var der []byte
	err = s.lookUp(ctx, "look up recipient", func(ctx context.Context, q *queries) error {
		c, err = scanChunk(s.pool.QueryRow(ctx, q.byRecipient, id[:], s.oldest()), &der)
		return err
	})
	if err != nil {
		return nil, key.Public{}, err
	}
	if k, err = key.ParseAuth(der); err != nil {
		return nil, key.Public{}, fmt.Errorf("look up recipient: %w", errRecord)
	}
	return c, k, nil
}

// lookUp runs a query over all live periods.
func (s *Store) lookUp(ctx context.Context, op string, do func(context.Context, *queries) error) error {
	return s.retry(ctx, op, func(ctx context.Context) error {
		return s.periods.all(func(q *queries) error { return do(ctx, q) })
	})
}

// RemoveRecipient removes one recipient.
func (s *Store) RemoveRecipient(ctx context.Context, id chunk.ID) error {
	return s.change(ctx, change{
		op: "remove recipient",
		do: func(ctx context.Context, again bool) error {
			var ref int64
			err := s.periods.all(func(q *queries) error { return s.pool.QueryRow(ctx, q.recipient, id[:]).Scan(&ref) })
			if errors.Is(err, pgx.ErrNoRows) && again {
				return nil
			}
			if errors.Is(err, pgx.ErrNoRows) {
				return chunk.ErrNotFound
			}
			if err != nil {
				return err
			}
			p, err := s.periods.of(chunk.Ref(ref))
			if err != nil {
				return err
			}
			return s.removeRecipient(ctx, p, id)
		},
	})
}

func (s *Store) removeRecipient(ctx context.Context, p *period, id chunk.ID) error {
	statement := fmt.Sprintf(`DELETE FROM %s r WHERE period = $1 AND recipient_id = $2
		AND EXISTS (SELECT FROM %s c WHERE c.period = $1 AND c.ref = r.ref AND c.created >= $3)`, p.table("recipients"), p.table("chunks"))
	tag, err := s.pool.Exec(ctx, statement, p.start, id[:], s.oldest())
	if err == nil && tag.RowsAffected() == 0 {
		err = chunk.ErrNotFound
	}
	return err
}
