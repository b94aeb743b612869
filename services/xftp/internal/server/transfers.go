package server

import (
	"context"
	"time"

	"sotto/shared/xftp"
)

// DefaultMaxTransfers is how many uploads and downloads there are at a time, at about 400 KB of memory each.
const DefaultMaxTransfers = 1000

// transferPatience is how long a transfer waits for its place. Clients wait 30 seconds for an answer.
//
// Spec: xftp.md 12.5
const transferPatience = 20 * time.Second

// places bound how many transfers there are at a time, whatever the number of connections and requests: each holds
// memory for what is on its way, also while its client is slow.
type places chan struct{}

func newPlaces(n int) places {
	if n <= 0 {
		n = DefaultMaxTransfers
	}
	return make(places, n)
}

// take waits for a place. The error is TIMEOUT, which clients take for something that passes.
//
// Spec: xftp.md 9.3
func (p places) take(ctx context.Context) error {
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(transferPatience)
	defer timer.Stop()
	select {
	case p <- struct{}{}:
		return nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return xftp.ErrTimeout
}

func (p places) give() { <-p }
