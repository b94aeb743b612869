package metrics_test

import (
	"math"
	"net"
	"testing"
	"time"

	"sotto/shared/metrics"
	"sotto/shared/metrics/metricstest"
	"sotto/shared/pg"
	"sotto/shared/transport"
)

func TestStoreIsMeasured(t *testing.T) {
	r := metrics.New("test", "v")
	measure := r.Store("test")
	measure(pg.Append, pg.Done, 3*time.Millisecond)
	measure(pg.Append, pg.Away, time.Second)
	measure(pg.Lookup, pg.Refused, time.Microsecond)
	families := metricstest.Gather(t, r.Gatherer())
	for _, c := range []struct {
		labels []string
		want   float64
	}{
		{[]string{"operation=append", "outcome=done"}, 1},
		{[]string{"operation=append", "outcome=away"}, 1},
		{[]string{"operation=append"}, 2},
		{[]string{"operation=lookup", "outcome=refused"}, 1},
		{[]string{"operation=sweep"}, 0},
	} {
		if got := metricstest.Value(families, "sotto_test_store_operations_total", c.labels...); got != c.want {
			t.Errorf("%v: %v operations, want %v", c.labels, got, c.want)
		}
	}
	if got := metricstest.Value(families, "sotto_test_store_seconds", "operation=append"); got != 2 {
		t.Errorf("%v appends were timed, want 2", got)
	}
}

func TestMeasuringAllocatesNothing(t *testing.T) {
	measure := metrics.New("test", "v").Store("test")
	if n := testing.AllocsPerRun(100, func() { measure(pg.Append, pg.Done, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMeasure(b *testing.B) {
	measure := metrics.New("test", "v").Store("test")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			measure(pg.Append, pg.Done, time.Millisecond)
		}
	})
}

func TestListenersAreAddedUp(t *testing.T) {
	var all []net.Listener
	for range 2 {
		ln, err := transport.Listen(t.Context(), "127.0.0.1:0", transport.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := ln.Accept(); err != nil {
			t.Fatal(err)
		}
		all = append(all, ln)
	}
	r := metrics.New("test", "v")
	r.Listeners("test", all)
	families := metricstest.Gather(t, r.Gatherer())
	for _, name := range []string{"open", "handshaking"} {
		if got := metricstest.Value(families, "sotto_test_sockets_"+name); got != 2 {
			t.Errorf("%v %s, want 2", got, name)
		}
	}
}

func TestLimitOfZeroIsNone(t *testing.T) {
	if got := metrics.Limit(int64(0)); !math.IsInf(got, 1) {
		t.Errorf("no limit is shown as %v", got)
	}
	if got := metrics.Limit(5); got != 5 {
		t.Errorf("a limit of 5 is shown as %v", got)
	}
}

func TestTimesWithoutAMoment(t *testing.T) {
	r := metrics.New("test", "v")
	r.Times("ends_seconds", "When.", "host", func(yield func(string, time.Time)) {
		yield("here.example", time.Unix(1000, 0))
		yield("not.example", time.Time{})
	})
	families := metricstest.Gather(t, r.Gatherer())
	if got := metricstest.Value(families, "sotto_ends_seconds"); got != 1000 {
		t.Errorf("the sum of the moments is %v, want that of the one that there is, 1000", got)
	}
}
