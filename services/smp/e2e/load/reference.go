package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/load"
	"sotto/shared/smp"
)

// bodySize is that of the messages: the longest allowed.
var bodySize = smp.MaxBody(smp.MaxVersion)

// bodies are what is sent: random bytes, as ciphertext is.
var bodies = func() [64][]byte {
	var all [64][]byte
	for i := range all {
		all[i] = make([]byte, bodySize)
		_, _ = rand.Read(all[i]) // never fails
	}
	return all
}()

// referenceTable is a table of messages that nothing but the reference uses.
const referenceTable = `CREATE TABLE reference (
	queue_id bigint, seq bigint, msg_id bytea NOT NULL, time bigint NOT NULL, flags smallint NOT NULL, body bytea NOT NULL,
	PRIMARY KEY (queue_id, seq));
ALTER TABLE reference ALTER body SET STORAGE EXTERNAL`

var referenceColumns = []string{"queue_id", "seq", "msg_id", "time", "flags", "body"}

// row of the reference.
func referenceRow(queue, seq int64) []any {
	return []any{queue, seq, bodies[seq%64][:24], time.Now().UnixNano(), int16(0), bodies[seq%64]}
}

// reference is the least that a relay has to make Postgres do: it stores groups of messages with COPY on one
// connection, and deletes the groups before on another, for the given time. It returns messages that were stored and
// deleted in a second.
func reference(ctx context.Context, url string, group int, d time.Duration) (float64, error) {
	if err := load.Execute(ctx, url, referenceTable); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	end := time.Now().Add(d)
	groups := make(chan int64, 1) // numbers of stored groups
	stored := make(chan error, 1)
	go func() {
		defer close(groups)
		stored <- storeGroups(ctx, url, group, end, groups)
	}()
	began, n := time.Now(), 0
	err := load.Connected(ctx, url, func(conn *pgx.Conn) error {
		for g := range groups {
			if err := deleteGroup(ctx, conn, g, group); err != nil {
				return err
			}
			n += group
		}
		return nil
	})
	took := time.Since(began)
	cancel()
	if err2 := <-stored; err == nil {
		err = err2
	}
	if err != nil {
		return 0, err
	}
	return float64(n) / took.Seconds(), load.Execute(context.WithoutCancel(ctx), url, "DROP TABLE reference")
}

// storeGroups stores groups until the end of the time.
func storeGroups(ctx context.Context, url string, group int, end time.Time, groups chan<- int64) error {
	return load.Connected(ctx, url, func(conn *pgx.Conn) error {
		for g := int64(0); time.Now().Before(end); g++ {
			source := pgx.CopyFromSlice(group, func(i int) ([]any, error) { return referenceRow(int64(i), g), nil })
			if _, err := conn.CopyFrom(ctx, pgx.Identifier{"reference"}, referenceColumns, source); err != nil {
				return err
			}
			select {
			case groups <- g:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
}

func deleteGroup(ctx context.Context, conn *pgx.Conn, g int64, group int) error {
	queues, seqs := make([]int64, group), make([]int64, group)
	for i := range queues {
		queues[i], seqs[i] = int64(i), g
	}
	_, err := conn.Exec(ctx, `DELETE FROM reference r USING unnest($1::bigint[], $2::bigint[]) AS d(queue_id, seq)
		WHERE r.queue_id = d.queue_id AND r.seq = d.seq`, queues, seqs)
	return err
}
