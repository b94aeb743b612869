package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sotto/shared/address"
	"sotto/shared/load"
)

// widths are how many transfers there are at a time.
var widths = []int{1, 4, 16}

// aim is the part of the slower reference that the relay should reach.
const aim = 0.7

// measureTransfer measures uploads and downloads of chunks beside what the database and what HTTP/2 alone do.
func (s *settings) measureTransfer(ctx context.Context, t *load.Table) (err error) {
	r, err := s.bench.Start(ctx, "XFTP_STORAGE_QUOTA=0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.End()) }()
	at, err := r.Server()
	if err != nil {
		return err
	}
	bare, bareAt, err := startBare(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bare.End()) }()
	for _, width := range widths {
		load.Progress("%d at a time", width)
		if err := s.measureWidth(ctx, t, r, at, bareAt, width); err != nil {
			return fmt.Errorf("%d at a time: %w", width, err)
		}
	}
	return nil
}

// measureWidth measures both directions with this many transfers at a time.
func (s *settings) measureWidth(ctx context.Context, t *load.Table, r *load.Relay, at, bareAt address.Server, width int) error {
	d := time.Duration(s.seconds) * time.Second
	clients, err := dialAll(ctx, at, width, dialRelay)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	bare, err := dialAll(ctx, bareAt, width, dialBare)
	if err != nil {
		return err
	}
	defer closeAll(bare)
	pages, err := newPages(ctx, r.Database.URL, width)
	if err != nil {
		return err
	}
	defer pages.close()
	r.Database.Calm(ctx)
	for _, direction := range []struct {
		name string
		move func(mover, context.Context) error
	}{{"upload", mover.upload}, {"download", mover.download}} {
		meter := load.NewMeter(ctx, r)
		rate, n, err := moveAll(ctx, clients, d, direction.move)
		if err != nil {
			return err
		}
		used := meter.Read()
		http, _, err := moveAll(ctx, bare, d, direction.move)
		if err != nil {
			return err
		}
		database, _, err := moveAll(ctx, pages.movers, d, direction.move)
		if err != nil {
			return err
		}
		t.Heading("%s of %d MB chunks, %d at a time", direction.name, chunkSize>>20, width)
		t.Add("relay", "%.0f MB/s", rate)
		t.Add("reference: bare HTTP/2", "%.0f MB/s", http)
		t.Add("reference: the same pages through bare pgx", "%.0f MB/s", database)
		slower := min(http, database)
		t.Ratio("  relay, of the slower one", rate/slower, aim)
		report(t, used, n*chunkSize>>20)
	}
	return nil
}

// report adds the processor time for each of n MB.
func report(t *load.Table, u load.Used, n int64) {
	ms := func(d time.Duration) string {
		if d < 0 || n == 0 {
			return "not known"
		}
		return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000/float64(n))
	}
	t.Add("processor time: relay, Postgres, clients", "%s, %s, %s ms a MB", ms(u.Relay), ms(u.Postgres), ms(u.Clients))
}

func dialAll(
	ctx context.Context, at address.Server, n int, dial func(context.Context, address.Server, []byte) (mover, error),
) (all []mover, err error) {
	body := randomBody()
	for range n {
		m, err := dial(ctx, at, body)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func closeAll(all []mover) {
	for _, m := range all {
		m.close()
	}
}

// moveAll lets all movers move chunks for the given time, and returns how many MB they moved in a second together, and
// how many chunks. The first chunk of each is not counted.
func moveAll(ctx context.Context, all []mover, d time.Duration, move func(mover, context.Context) error) (float64, int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var moved atomic.Int64
	var warm, done sync.WaitGroup
	start := make(chan struct{})
	var end time.Time
	warm.Add(len(all))
	for _, m := range all {
		done.Go(func() {
			err := move(m, ctx)
			warm.Done()
			<-start
			for err == nil && ctx.Err() == nil && time.Now().Before(end) {
				if err = move(m, ctx); err == nil {
					moved.Add(1)
				}
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	warm.Wait()
	began := time.Now()
	end = began.Add(d)
	close(start)
	done.Wait()
	took := time.Since(began).Seconds()
	return float64(moved.Load()*chunkSize) / (1 << 20) / took, moved.Load(), context.Cause(ctx)
}
