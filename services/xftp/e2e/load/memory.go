package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"sotto/shared/load"
)

const (
	// sampleTime is the pause between two readings of the relay's memory.
	sampleTime = 10 * time.Millisecond
	// mostEach is what an upload may take of memory.
	mostEach = 1 << 20
)

// measureMemory measures what many uploads at a time take of the relay's memory, above what the same connections take
// when they are idle.
func (s *settings) measureMemory(ctx context.Context, t *load.Table) (err error) {
	r, err := s.bench.Start(ctx, "XFTP_STORAGE_QUOTA=0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.End()) }()
	at, err := r.Server()
	if err != nil {
		return err
	}
	empty, err := r.Usage()
	if err != nil {
		return err
	}
	clients, err := dialAll(ctx, at, s.uploads, dialRelay)
	if err != nil {
		return err
	}
	defer closeAll(clients)
	idle, err := r.Usage()
	if err != nil {
		return err
	}
	highest, n, err := watch(ctx, r, func() (int64, error) {
		_, n, err := moveAll(ctx, clients, time.Duration(s.seconds)*time.Second, mover.upload)
		return n, err
	})
	if err != nil {
		return err
	}
	each := (highest - idle.RSS) / int64(s.uploads)
	t.Heading("%d uploads of %d MB at a time (%d in all)", s.uploads, chunkSize>>20, n)
	t.Add("resident memory without connections", "%s", load.Megabytes(empty.RSS))
	t.Add("  with idle connections", "%s", load.Megabytes(idle.RSS))
	t.Add("  at most, during uploads", "%s", load.Megabytes(highest))
	t.Aimed("an upload, above idle", each <= mostEach, "at most 1 MB", "%s", load.Kilobytes(float64(each)))
	return nil
}

// watch returns the highest resident memory of the relay while do runs, and what do returns.
func watch(ctx context.Context, r *load.Relay, do func() (int64, error)) (highest, n int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	var most atomic.Int64
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(sampleTime)
		defer tick.Stop()
		for {
			if u, err := r.Usage(); err == nil {
				most.Store(max(most.Load(), u.RSS))
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	n, err = do()
	cancel()
	watching.Wait()
	return most.Load(), n, err
}
