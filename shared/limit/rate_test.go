package limit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// clock is a time that tests move.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{at: time.Unix(1_700_000_000, 0)} }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// allowed counts how often a source may at once, up to a bound.
func allowed(r *Rate, s Source, most int) int {
	for n := range most {
		if !r.Allow(s) {
			return n
		}
	}
	return most
}

func TestRate(t *testing.T) {
	c := newClock()
	r := newRate(6, c.now)
	a, b := of(t, "192.0.2.1"), of(t, "192.0.2.2")
	if n := allowed(r, a, 1000); n != 60 {
		t.Errorf("%d at once, want what ten minutes save", n)
	}
	if n := allowed(r, b, 1000); n != 60 {
		t.Errorf("%d for another source", n)
	}
	if got := r.Refused(); got != 2 {
		t.Errorf("%d refused", got)
	}
	c.pass(10*time.Second - 1)
	if r.Allow(a) {
		t.Error("allowed before its time")
	}
	c.pass(1)
	if n := allowed(r, a, 1000); n != 1 {
		t.Errorf("%d after the tenth of a minute", n)
	}
	c.pass(24 * time.Hour)
	if n := allowed(r, a, 1000); n != 60 {
		t.Errorf("%d after a day", n)
	}
}

func TestRateOfWiderPrefix(t *testing.T) {
	r := newRate(6, newClock().now)
	total := 0
	for i := range 100 {
		total += allowed(r, of(t, fmt.Sprintf("2001:db8:1:%x::1", i)), 1000)
	}
	if total != 60*wideShare {
		t.Errorf("%d from one /48", total)
	}
	if n := allowed(r, of(t, "2001:db8:2::1"), 1000); n != 60 {
		t.Errorf("%d from another", n)
	}
}

func TestRateOff(t *testing.T) {
	for _, r := range []*Rate{NewRate(0), NewRate(-1)} {
		if r != nil || allowed(r, of(t, "192.0.2.1"), 10_000) != 10_000 || r.Refused() != 0 {
			t.Error("0 bounds something")
		}
		lane := r.Lane(Source{})
		if err := lane.Wait(t.Context(), 1e9); err != nil {
			t.Error(err)
		}
	}
	r := NewRate(1)
	if allowed(r, Source{}, 10_000) != 10_000 {
		t.Error("nobody is limited")
	}
}

func TestExtremeRates(t *testing.T) {
	c := newClock()
	slow := newRate(1, c.now)
	lane := slow.Lane(Source{})
	if err := lane.Wait(t.Context(), 255); err != nil {
		t.Errorf("a block is refused to a new connection: %v", err)
	}
	if err := lane.Wait(t.Context(), 1); !errors.Is(err, ErrTooFast) {
		t.Errorf("beyond it: %v", err)
	}
	if got := allowed(newRate(1<<62, c.now), of(t, "192.0.2.1"), 100_000); got != 100_000 {
		t.Errorf("%d allowed of very many", got)
	}
}

// TestLaneWaits runs a connection into its own bound: it is held up, and turned away only if that takes too long.
func TestLaneWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRate(240) // a connection: one per second
		lane, other := r.Lane(Source{}), r.Lane(Source{})
		if err := lane.Wait(t.Context(), 600); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for range 3 {
			if err := lane.Wait(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
		}
		if passed := time.Since(begun); passed != 3*time.Second {
			t.Errorf("three took %v", passed)
		}
		if err := lane.Wait(t.Context(), 10); err != nil {
			t.Error(err)
		}
		if err := lane.Wait(t.Context(), 1); !errors.Is(err, ErrTooFast) {
			t.Errorf("eleven seconds ahead: %v", err)
		}
		if err := other.Wait(t.Context(), 1); err != nil {
			t.Errorf("another connection: %v", err)
		}
		time.Sleep(7 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := lane.Wait(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("given up: %v", err)
		}
	})
}

// TestLanesShareTheirSource has several connections of one source, none of which is too fast.
func TestLanesShareTheirSource(t *testing.T) {
	c := newClock()
	r := newRate(6, c.now)
	s := of(t, "192.0.2.1")
	for range ownShare {
		lane := r.Lane(s)
		if err := lane.Wait(t.Context(), 15); err != nil {
			t.Fatal(err)
		}
	}
	lane := r.Lane(s)
	if err := lane.Wait(t.Context(), 1); !errors.Is(err, ErrTooFast) {
		t.Errorf("a fifth connection: %v", err)
	}
}

// TestTableKeepsTheBusy has very many sources come once, while one is at its limit.
func TestTableKeepsTheBusy(t *testing.T) {
	c := newClock()
	r := newRate(6, c.now)
	busy := of(t, "192.0.2.1")
	allowed(r, busy, 1000)
	for i := range 4 * tableSets * setSize {
		r.Allow(Source{near: hashOf(i)})
	}
	if r.Allow(busy) {
		t.Error("forgotten for those that came once")
	}
	if n := len(r.buckets.slots); n != tableSets*setSize {
		t.Errorf("%d slots", n)
	}
}

// hashOf spreads numbers like a hash.
func hashOf(i int) uint64 { return uint64(i+1) * 0x9e3779b97f4a7c15 }

func TestTableForgetsTheFull(t *testing.T) {
	var tab table
	for i := range setSize {
		tab.set(uint64(i+1)*tableSets, time.Duration(i+2)) // all in one set
	}
	late := uint64(setSize+1) * tableSets
	tab.set(late, 100)
	if tab.full(1*tableSets) != 0 {
		t.Error("what is full first is kept")
	}
	if tab.full(2*tableSets) != 3 || tab.full(late) != 100 {
		t.Error("another is forgotten")
	}
}

func TestRateRaces(t *testing.T) {
	r := newRate(60, newClock().now)
	s := of(t, "2001:db8::1")
	var wg sync.WaitGroup
	var mu sync.Mutex
	total := 0
	for range 8 {
		wg.Go(func() {
			n := 0
			for range 200 {
				if r.Allow(s) {
					n++
				}
				_ = r.Refused()
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	wg.Wait()
	if total != 600 || r.Refused() != 1000 {
		t.Errorf("%d allowed, %d refused", total, r.Refused())
	}
}
