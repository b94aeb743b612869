package limit

import (
	"sync"
	"sync/atomic"
)

// Arrivals bounds the connections of each source: how many are open, and how many come per minute. The listeners of a relay
// share one. A nil Arrivals bounds nothing. All methods may be called from any goroutine.
type Arrivals struct {
	most    int // open at once from a source; 0: any number
	rate    *Rate
	crowded atomic.Uint64

	mu sync.Mutex
	// open counts by hash. Each entry has at least one open connection, whose number is bounded, so this needs no other bound.
	open map[uint64]int
}

// NewArrivals returns bounds for what a source may have open, and for how often it may connect per minute; 0 is no bound.
func NewArrivals(open, perMinute int) *Arrivals { return newArrivals(open, NewRate(perMinute)) }

func newArrivals(open int, rate *Rate) *Arrivals {
	return &Arrivals{most: max(open, 0), rate: rate, open: make(map[uint64]int)}
}

// Enter counts a connection in, unless its source is at a limit. After true, Leave counts it out.
func (a *Arrivals) Enter(s Source) bool {
	if a == nil || !s.Known() {
		return true
	}
	if !a.enter(s) {
		a.crowded.Add(1)
		return false
	}
	if !a.rate.Allow(s) {
		a.Leave(s)
		return false
	}
	return true
}

func (a *Arrivals) enter(s Source) bool {
	if a.most == 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[s.near] >= a.most || (s.wide != 0 && a.open[s.wide] >= a.most*wideShare) {
		return false
	}
	a.open[s.near]++
	if s.wide != 0 {
		a.open[s.wide]++
	}
	return true
}

// Leave counts out a connection that Enter has let in.
func (a *Arrivals) Leave(s Source) {
	if a == nil || !s.Known() || a.most == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(s.near)
	if s.wide != 0 {
		a.drop(s.wide)
	}
}

func (a *Arrivals) drop(hash uint64) {
	if a.open[hash]--; a.open[hash] <= 0 {
		delete(a.open, hash)
	}
}

// Stats are counts for metrics, since the start.
type Stats struct {
	Crowded uint64 // connections refused because their source had too many open
	TooFast uint64 // connections refused because their source has connected too often
}

// Stats returns the present counts.
func (a *Arrivals) Stats() Stats {
	if a == nil {
		return Stats{}
	}
	return Stats{Crowded: a.crowded.Load(), TooFast: a.rate.Refused()}
}
