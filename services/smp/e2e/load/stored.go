package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/services/smp/internal/client"
	"sotto/shared/load"
	"sotto/shared/smp"
	"sotto/shared/wire"
)

// stopTime bounds the end of a relay.
const stopTime = 15 * time.Second

// measureStored fills the database with queues, starts the relay on it, and lets one client subscribe to many of them.
func measureStored(ctx context.Context, s *settings, t *load.Table) (err error) {
	u, err := s.bench.Start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.End()) }()
	template, err := templateQueue(ctx, u)
	if err != nil {
		return err
	}
	empty, err := restart(ctx, u)
	if err != nil {
		return err
	}
	if _, err := u.Stop(stopTime); err != nil {
		return err
	}
	load.Progress("inserting %d queues", s.stored)
	seed, filled, err := fill(ctx, u.Database.URL, s.stored)
	if err != nil {
		return fmt.Errorf("fill the database: %w", err)
	}
	u.Database.Calm(ctx)
	if err := u.Start(ctx); err != nil {
		return err
	}
	full, err := restart(ctx, u)
	if err != nil {
		return err
	}
	t.Heading("%d queues in the database (inserted in %.0f s)", s.stored, filled.Seconds())
	t.Add("start-up, empty database", "%s, %s resident", load.Milliseconds(empty.took), load.Megabytes(empty.rss))
	t.Add("start-up, full database", "%s, %s resident", load.Milliseconds(full.took), load.Megabytes(full.rss))
	difference := full.rss - empty.rss
	t.Aimed("  difference", full.took < empty.took+time.Second && difference < 32<<20, "below 1 s and 32 MB",
		"%s, %s", load.Milliseconds(full.took-empty.took), load.Megabytes(difference))
	return resubscribe(ctx, s, u, t, template, seed)
}

// started is how a relay is just after its start.
type started struct {
	took time.Duration
	rss  int64
}

// restart stops the relay, and starts it again.
func restart(ctx context.Context, u *load.Relay) (started, error) {
	if _, err := u.Stop(stopTime); err != nil {
		return started{}, err
	}
	began := time.Now()
	if err := u.Start(ctx); err != nil {
		return started{}, err
	}
	s := started{took: time.Since(began)}
	c, err := connect(ctx, u.Relay) // it serves
	if err != nil {
		return s, err
	}
	defer c.Close()
	usage, err := u.Usage()
	s.rss = usage.RSS
	return s, err
}

// templateQueue creates the queue that all others are copies of.
func templateQueue(ctx context.Context, u *load.Relay) (*client.Queue, error) {
	c, err := connect(ctx, u.Relay)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.NewQueue(ctx, client.QueueOptions{Mode: smp.ModeMessaging})
}

// idExpression is SQL for an id of queue n: the beginning of a hash, as good as random.
const idExpression = `substring(sha256(convert_to(%s, 'UTF8')) for 24)`

// fill inserts n copies of the only queue there is, with ids that follow from the seed it returns, and how long it took.
func fill(ctx context.Context, url string, n int) (seed string, took time.Duration, err error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	seed = hex.EncodeToString(random[:])
	err = load.Connected(ctx, url, func(conn *pgx.Conn) error {
		columns, values, err := copied(ctx, conn, seed)
		if err != nil {
			return err
		}
		began := time.Now()
		for from := 0; from < n; from += 100_000 {
			_, err := conn.Exec(ctx, fmt.Sprintf(`INSERT INTO queues (%s) SELECT %s FROM (SELECT * FROM queues LIMIT 1) q,
				generate_series(%d::bigint, %d) n`, columns, values, from, min(from+100_000, n)-1))
			if err != nil {
				return err
			}
			load.Progress("%d queues", min(from+100_000, n))
		}
		took = time.Since(began)
		_, err = conn.Exec(ctx, "VACUUM ANALYZE queues")
		return err
	})
	return seed, took, err
}

// copied returns the columns of queues that an INSERT sets, and what it sets them to.
func copied(ctx context.Context, conn *pgx.Conn, seed string) (columns, values string, err error) {
	rows, err := conn.Query(ctx, `SELECT attname FROM pg_attribute WHERE attrelid = 'queues'::regclass
		AND attnum > 0 AND NOT attisdropped AND attidentity = '' AND attgenerated = '' ORDER BY attnum`)
	if err != nil {
		return "", "", err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", "", err
	}
	all := make([]string, len(names))
	for i, name := range names {
		switch name {
		case "recipient_id", "sender_id":
			all[i] = fmt.Sprintf(idExpression, fmt.Sprintf("'%s %s ' || n", seed, name))
		default:
			all[i] = "q." + name
		}
	}
	return strings.Join(names, ", "), strings.Join(all, ", "), nil
}

// recipientID is the id that fill gives to queue n.
func recipientID(seed string, n int) wire.EntityID {
	hash := sha256.Sum256([]byte(seed + " recipient_id " + strconv.Itoa(n)))
	return hash[:24]
}

// resubscribe is a client that comes back to its queues. They are spread over the database.
func resubscribe(ctx context.Context, s *settings, u *load.Relay, t *load.Table, template *client.Queue, seed string) error {
	queues := make([]*client.Queue, s.resubs)
	step := s.stored / s.resubs
	for i := range queues {
		queues[i] = &client.Queue{RecipientID: recipientID(seed, i*step), Key: template.Key}
	}
	t.Heading("A client with %d queues comes back", len(queues))
	for _, name := range []string{"subscribed, first time", "subscribed, again from another connection"} {
		took, used, err := subscribeAll(ctx, u, queues)
		if err != nil {
			return err
		}
		t.Add(name, "%.2f s, %.0f/s", took.Seconds(), float64(len(queues))/took.Seconds())
		t.Add("  processor time", "relay %.2f s, Postgres %.2f s, client %.2f s", used.Relay.Seconds(), used.Postgres.Seconds(),
			used.Clients.Seconds())
	}
	usage, err := u.Usage()
	t.Add("resident memory after it", "%s", load.Megabytes(usage.RSS))
	return err
}

func subscribeAll(ctx context.Context, u *load.Relay, queues []*client.Queue) (time.Duration, load.Used, error) {
	c, err := connect(ctx, u.Relay)
	if err != nil {
		return 0, load.Used{}, err
	}
	defer c.Close()
	meter := load.NewMeter(ctx, u)
	began := time.Now()
	each, err := c.SubscribeAll(ctx, queues)
	took := time.Since(began)
	for i, e := range each {
		if e != nil && err == nil {
			err = fmt.Errorf("SUB of queue %d: %w", i, e)
		}
	}
	return took, meter.Read(), err
}
