package limit

import (
	"sync"
	"sync/atomic"
	"time"
)

// Rate bounds how often each source does something. A nil Rate bounds nothing. All methods may be called from any goroutine.
type Rate struct {
	now     func() time.Time
	epoch   time.Time
	near    pace
	wide    pace
	own     pace
	refused atomic.Uint64

	mu      sync.Mutex // guards what follows, and the own bucket of each Lane
	buckets table
}

// ownShare is the part of what a source may do that one of its connections may: others are behind the same address, and
// who has no source has at least this bound.
const ownShare = 4

// NewRate returns a rate of so much per minute, averaged over ten of them; nil if that is 0.
func NewRate(perMinute int) *Rate { return newRate(perMinute, time.Now) }

func newRate(perMinute int, now func() time.Time) *Rate {
	if perMinute <= 0 {
		return nil
	}
	n := float64(perMinute)
	return &Rate{now: now, epoch: now(), near: newPace(n), wide: newPace(n * wideShare), own: newPace(n / ownShare)}
}

// Allow takes one use from a source's bucket, and reports false if it is empty.
func (r *Rate) Allow(s Source) bool {
	if r == nil || !s.Known() {
		return true
	}
	_, ok := r.reserve(s, nil, 1, 0)
	return ok
}

// Refused tells how often somebody was refused since the start.
func (r *Rate) Refused() uint64 {
	if r == nil {
		return 0
	}
	return r.refused.Load()
}

// reserve takes n uses from all buckets that a user draws from, if that takes no longer to wait for than most.
func (r *Rate) reserve(s Source, own *time.Duration, n int, most time.Duration) (time.Duration, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now().Sub(r.epoch)
	var wait time.Duration
	if s.near != 0 {
		wait = max(wait, r.near.wait(r.buckets.full(s.near), now))
	}
	if s.wide != 0 {
		wait = max(wait, r.wide.wait(r.buckets.full(s.wide), now))
	}
	if own != nil {
		wait = max(wait, r.own.wait(*own, now))
	}
	if wait > most {
		r.refused.Add(1)
		return 0, false
	}
	if s.near != 0 {
		r.buckets.set(s.near, r.near.use(r.buckets.full(s.near), now, n))
	}
	if s.wide != 0 {
		r.buckets.set(s.wide, r.wide.use(r.buckets.full(s.wide), now, n))
	}
	if own != nil {
		*own = r.own.use(*own, now, n)
	}
	return wait, true
}
