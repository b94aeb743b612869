package metrics

import (
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"sotto/shared/pg"
)

// buckets are the bounds of the histograms of what the database takes, in seconds: from a look into its memory to the bound
// of an operation.
var buckets = []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10}

// Store adds what the database of the service with this name takes, and returns whom to tell. It allocates nothing.
func (r *Registry) Store(service string) pg.Measure {
	const took, ends = "_store_seconds", "_store_operations_total"
	tookHelp, endsHelp := "What attempts of operations in the database took, with the wait for a connection.",
		"Attempts of operations in the database, by how they ended."
	r.family("histogram", service+took, tookHelp, "operation")
	r.family("counter", service+ends, endsHelp, "operation", "outcome")
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: Prefix + service + took, Help: tookHelp, Buckets: buckets,
	}, []string{"operation"})
	ended := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: Prefix + service + ends, Help: endsHelp,
	}, []string{"operation", "outcome"})
	r.registry.MustRegister(seconds, ended)
	var (
		observers [len(pg.Operations)]prometheus.Observer
		counters  [len(pg.Operations)][len(pg.Outcomes)]prometheus.Counter
	)
	for i, op := range pg.Operations {
		observers[i] = seconds.WithLabelValues(op)
		for j, outcome := range pg.Outcomes {
			counters[i][j] = ended.WithLabelValues(op, outcome)
		}
	}
	return func(op pg.Operation, end pg.Outcome, took time.Duration) {
		observers[op].Observe(took.Seconds())
		counters[op][end].Inc()
	}
}

// Database is what a store tells of its database.
type Database interface {
	// Away reports whether it has not answered for a while.
	Away() bool
	// Pool tells how the connections to it are used.
	Pool() *pgxpool.Stat
}

// Database adds the state of the database of the service with this name.
func (r *Registry) Database(service string, d Database) {
	name := service + "_database_"
	r.Gauge(name+"up", "1 if the database answers, 0 if it is away.", func() float64 { return Bool(!d.Away()) })
	r.Gauge(name+"connections", "Connections of the pool that are open.", func() float64 { return float64(d.Pool().TotalConns()) })
	r.Gauge(name+"connections_used", "Of these, in use.", func() float64 { return float64(d.Pool().AcquiredConns()) })
	r.Gauge(name+"connections_limit", "Connections that the pool may open.", func() float64 { return float64(d.Pool().MaxConns()) })
	r.Counter(name+"connections_opened_total", "Connections that the pool has opened.",
		func() float64 { return float64(d.Pool().NewConnsCount()) })
	r.Counter(name+"waits_total", "Operations that had to wait for a connection of the pool.",
		func() float64 { return float64(d.Pool().EmptyAcquireCount()) })
	r.Counter(name+"wait_seconds_total", "Time that operations spent on getting a connection of the pool.",
		func() float64 { return d.Pool().AcquireDuration().Seconds() })
}
