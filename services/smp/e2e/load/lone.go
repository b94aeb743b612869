package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/load"
	"sotto/shared/smp"
)

// measureLone sends messages one by one to an idle relay, and in turn inserts the same into a table.
func measureLone(ctx context.Context, s *settings, t *load.Table) (err error) {
	u, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.End()) }()
	if err := load.Execute(ctx, u.Database.URL, referenceTable); err != nil {
		return err
	}
	at, err := u.Server()
	if err != nil {
		return err
	}
	p, err := newPair(ctx, at)
	if err != nil {
		return err
	}
	defer p.close()
	var inserts, sends load.Durations
	err = load.Connected(ctx, u.Database.URL, func(conn *pgx.Conn) error {
		for n := range s.lone {
			d, err := insertOne(ctx, conn, int64(n))
			if err != nil {
				return fmt.Errorf("INSERT: %w", err)
			}
			inserts = append(inserts, d)
			if d, err = p.one(ctx, n); err != nil {
				return err
			}
			sends = append(sends, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	t.Heading("One message of %d bytes at a time, %d times", bodySize, s.lone)
	bare, lone := inserts.Quantile(0.5), sends.Quantile(0.5)
	t.Add("reference: bare INSERT, median", "%s", load.Milliseconds(bare))
	t.Add("SEND to OK, median", "%s", load.Milliseconds(lone))
	ratio := float64(lone) / float64(bare)
	t.Aimed("  of the reference", ratio <= 3, "at most 3.00", "%.2f", ratio)
	t.Add("bare INSERT, 99%", "%s", load.Milliseconds(inserts.Quantile(0.99)))
	t.Add("SEND to OK, 99%", "%s", load.Milliseconds(sends.Quantile(0.99)))
	return nil
}

// insertOne stores a message durably, with nothing around it.
func insertOne(ctx context.Context, conn *pgx.Conn, n int64) (time.Duration, error) {
	began := time.Now()
	_, err := conn.Exec(ctx, "INSERT INTO reference VALUES ($1, $2, $3, $4, $5, $6)", referenceRow(1, n)...)
	return time.Since(began), err
}

// one sends message n, and then takes it, so that the relay is idle again.
func (p *pair) one(ctx context.Context, n int) (time.Duration, error) {
	p.sentAt <- time.Now()
	began := time.Now()
	if err := p.sender.Send(ctx, p.queue.SenderID, p.key, false, bodies[n%len(bodies)]); err != nil {
		return 0, fmt.Errorf("SEND: %w", err)
	}
	took := time.Since(began)
	e, ok := <-p.recipient.Events()
	if !ok {
		return 0, p.recipient.Err()
	}
	msg, ok := e.Response.(smp.MSG)
	if !ok {
		return 0, errors.New("another event than MSG")
	}
	id, err := p.take(msg, n)
	if err == nil {
		id, err = p.acknowledge(ctx, id, n+1)
	}
	if err == nil && id != nil {
		err = errors.New("a message nobody sent")
	}
	return took, err
}
