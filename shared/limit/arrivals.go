package limit

import (
	"errors"
	"sync"
)

// ErrCrowded is returned to who has too many connections open.
var ErrCrowded = errors.New("limit: too many connections")

// Arrivals bounds the connections of each source: how many are open, and how many come per minute. The listeners of a relay
// share one. A nil Arrivals bounds nothing. All methods may be called from any goroutine.
type Arrivals struct {
	most int // open at once from a source; 0: any number
	rate *Rate

	mu sync.Mutex
	// open counts by hash. Each entry has at least one open connection, whose number is bounded, so this needs no other bound.
	open map[uint64]int
}

// NewArrivals returns bounds for what a source may have open, and for how often it may connect per minute; 0 is no bound.
func NewArrivals(open, perMinute int) *Arrivals { return newArrivals(open, NewRate(perMinute)) }

func newArrivals(open int, rate *Rate) *Arrivals {
	return &Arrivals{most: max(open, 0), rate: rate, open: make(map[uint64]int)}
}

// Enter counts a connection in, unless its source has too many, which is [ErrCrowded], or connects too often, which is
// [ErrTooFast]. After nil, Leave counts it out.
func (a *Arrivals) Enter(s Source) error {
	if a == nil || !s.Known() {
		return nil
	}
	if !a.enter(s) {
		return ErrCrowded
	}
	if !a.rate.Allow(s) {
		a.Leave(s)
		return ErrTooFast
	}
	return nil
}

func (a *Arrivals) enter(s Source) bool {
	if a.most == 0 {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[s.near] >= a.most || (s.wide != 0 && a.open[s.wide]/wideShare >= a.most) {
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
