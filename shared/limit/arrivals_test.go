package limit

import (
	"fmt"
	"math"
	"sync"
	"testing"
)

func TestArrivalsOpen(t *testing.T) {
	a := NewArrivals(2, 0)
	s, other := of(t, "192.0.2.1"), of(t, "192.0.2.2")
	for n, want := range []error{nil, nil, ErrCrowded} {
		if err := a.Enter(s); err != want {
			t.Errorf("connection %d: %v", n, err)
		}
	}
	if a.Enter(other) != nil {
		t.Error("another source is refused")
	}
	a.Leave(s)
	for n, want := range []error{nil, ErrCrowded} {
		if err := a.Enter(s); err != want {
			t.Errorf("connection %d after one has left: %v", n, err)
		}
	}
	a.Leave(s)
	a.Leave(s)
	a.Leave(other)
	if len(a.open) != 0 {
		t.Errorf("%d sources are kept after all have left", len(a.open))
	}
}

func TestArrivalsOfWiderPrefix(t *testing.T) {
	a := NewArrivals(2, 0)
	n := 0
	for i := range 100 {
		if a.Enter(of(t, fmt.Sprintf("2001:db8:1:%x::1", i))) == nil {
			n++
		}
	}
	if n != 2*wideShare {
		t.Errorf("%d from one /48", n)
	}
	if len(a.open) != n+1 {
		t.Errorf("%d entries: those refused are counted", len(a.open))
	}
}

func TestArrivalsOfVeryMany(t *testing.T) {
	a := NewArrivals(math.MaxInt, math.MaxInt)
	for range 100 {
		if err := a.Enter(of(t, "2001:db8::1")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestArrivalsRate(t *testing.T) {
	c := newClock()
	a := newArrivals(100, newRate(1, c.now))
	s := of(t, "192.0.2.1")
	for range savedMinutes {
		if a.Enter(s) != nil {
			t.Fatal("refused")
		}
		a.Leave(s)
	}
	if err := a.Enter(s); err != ErrTooFast {
		t.Errorf("too fast: %v", err)
	}
	if len(a.open) != 0 {
		t.Error("who is refused counts as open")
	}
}

func TestArrivalsOff(t *testing.T) {
	var none *Arrivals
	for _, a := range []*Arrivals{none, NewArrivals(0, 0)} {
		s := of(t, "192.0.2.1")
		for range 1000 {
			if a.Enter(s) != nil {
				t.Fatal("refused")
			}
		}
		a.Leave(s)
	}
	a := NewArrivals(1, 1)
	for range 1000 {
		if a.Enter(Source{}) != nil {
			t.Fatal("nobody is refused")
		}
	}
}

func TestArrivalsRaces(t *testing.T) {
	a := NewArrivals(3, 0)
	s := of(t, "2001:db8::1")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if a.Enter(s) == nil {
					a.Leave(s)
				}
			}
		})
	}
	wg.Wait()
	if len(a.open) != 0 {
		t.Errorf("%d are left", len(a.open))
	}
}
