package server

import (
	"testing"
	"testing/synctest"
	"time"

	"sotto/shared/limit"
	"sotto/shared/smp"
)

// paced is a connection of which only the bounds are used. It may do n of each at once, then one in five seconds.
func paced(t *testing.T) (c *conn, n int) {
	t.Helper()
	const perMinute = 48 // a connection has a quarter of it, for ten minutes
	s := &Server{ctx: t.Context(), rates: newRates(Config{NewRate: perMinute, ProxyRate: perMinute})}
	return &conn{srv: s, lanes: lanes{
		create: s.rates.create.Lane(limit.Source{}), proxy: s.rates.proxy.Lane(limit.Source{}),
	}}, perMinute / 4 * 10
}

func block(n int, cmd smp.Command) []request {
	requests := make([]request, n)
	for i := range requests {
		requests[i].cmd = cmd
	}
	return requests
}

// TestPaceOfEachCommand has blocks of a dear command until the connection is too fast, and others meanwhile.
func TestPaceOfEachCommand(t *testing.T) {
	for _, test := range []struct {
		name         string
		cmd, another smp.Command
	}{
		{"NEW", smp.NEW{}, smp.PRXY{}},
		{"PRXY", smp.PRXY{}, smp.NEW{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, n := paced(t)
				begun := time.Now()
				if !c.keepPace(block(n, test.cmd)) || time.Since(begun) != 0 {
					t.Error("held up within the bound")
				}
				mixed := append(block(100, smp.SUB{}), block(2, test.cmd)...)
				if !c.keepPace(mixed) || time.Since(begun) != 5*time.Second {
					t.Errorf("held up for %v", time.Since(begun))
				}
				if c.keepPace(block(1, test.cmd)) {
					t.Error("far beyond the bound the connection goes on")
				}
				if !c.keepPace(append(block(1000, smp.SEND{}), block(1, test.another)...)) || time.Since(begun) != 5*time.Second {
					t.Error("other commands are held up")
				}
				if !c.keepPace([]request{{}}) { // what is no command
					t.Error("refused")
				}
			})
		})
	}
}

func TestPaceCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, n := paced(t)
		for _, cmd := range []smp.Command{smp.NEW{}, smp.PRXY{}} {
			c.keepPace(block(2*n, cmd))
			c.keepPace(block(1, cmd))
		}
		if created, proxied := c.srv.count.CreatedTooFast.Load(), c.srv.count.ProxiedTooFast.Load(); created != 1 || proxied != 1 {
			t.Errorf("%d and %d are counted", created, proxied)
		}
	})
}
