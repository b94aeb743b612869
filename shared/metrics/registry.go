// Package metrics shows what a relay measures, to Prometheus over HTTP on a port for the operator, with answers to whether
// the relay lives and whether it is ready. What is measured are sums over all clients: no label names one of them, or
// anything that a client has written. docs/metrics.md lists all names.
package metrics

import (
	"math"
	"net/http"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Prefix is that of all names that are this project's own.
const Prefix = "sotto_"

// Registry is what one program measures. All of it is read when somebody asks; the program keeps plain counters.
type Registry struct {
	registry *prometheus.Registry
	families []Family
}

// Family is one metric, with all its series.
type Family struct {
	Name   string
	Kind   string // gauge, counter or histogram
	Labels []string
	Help   string
}

// New returns a registry for the service with this name, with the facts of its build, its process and its runtime.
func New(service, version string) *Registry {
	r := &Registry{registry: prometheus.NewRegistry()}
	r.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := r.family("gauge", "build_info", "1, with the version in its labels.", "service", "version", "go")
	r.collect(func(out chan<- prometheus.Metric) {
		out <- prometheus.MustNewConstMetric(build, prometheus.GaugeValue, 1, service, version, runtime.Version())
	}, build)
	return r
}

// Families lists what was added, but for what the process and the runtime tell.
func (r *Registry) Families() []Family { return slices.Clone(r.families) }

// Gatherer reads everything.
func (r *Registry) Gatherer() prometheus.Gatherer { return r.registry }

// family notes a metric and returns its description.
func (r *Registry) family(kind, name, help string, labels ...string) *prometheus.Desc {
	r.families = append(r.families, Family{Prefix + name, kind, labels, help})
	return prometheus.NewDesc(Prefix+name, help, labels, nil)
}

// collect has the metrics with these descriptions read.
func (r *Registry) collect(read func(chan<- prometheus.Metric), descs ...*prometheus.Desc) {
	r.registry.MustRegister(collector{descs, read})
}

// Gauge adds a number that goes up and down.
func (r *Registry) Gauge(name, help string, read func() float64) {
	r.number("gauge", prometheus.GaugeValue, name, help, read)
}

// Counter adds a number that only grows.
func (r *Registry) Counter(name, help string, read func() float64) {
	r.number("counter", prometheus.CounterValue, name, help, read)
}

func (r *Registry) number(kind string, value prometheus.ValueType, name, help string, read func() float64) {
	desc := r.family(kind, name, help)
	r.collect(func(out chan<- prometheus.Metric) { out <- prometheus.MustNewConstMetric(desc, value, read()) }, desc)
}

// Times adds a moment for each value of a label, in seconds since 1970. read yields them; zero times are left out.
func (r *Registry) Times(name, help, label string, read func(yield func(value string, at time.Time))) {
	desc := r.family("gauge", name, help, label)
	r.collect(func(out chan<- prometheus.Metric) {
		read(func(value string, at time.Time) {
			if !at.IsZero() {
				out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.Unix()), value)
			}
		})
	}, desc)
}

// Bool is a gauge's 1 for true.
func Bool(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// Limit is a gauge of a limit of which 0 means that there is none.
func Limit[N int | int64](most N) float64 {
	if most == 0 {
		return math.Inf(1)
	}
	return float64(most)
}

// collector is a [prometheus.Collector] of metrics that are known beforehand.
type collector struct {
	descs   []*prometheus.Desc
	collect func(chan<- prometheus.Metric)
}

// Describe implements [prometheus.Collector].
func (c collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements [prometheus.Collector].
func (c collector) Collect(out chan<- prometheus.Metric) { c.collect(out) }

// scrapes is how many may read all metrics at once: a second Prometheus, and somebody who looks.
const scrapes = 4

// handler answers those who want the metrics.
func (r *Registry) handler() http.Handler {
	return promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapes, DisableCompression: true, Timeout: answerTime,
	})
}
