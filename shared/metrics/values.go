package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Value is a number under a name that is not this project's own.
type Value struct {
	Name, Help string
	Gauge      bool              // else it only grows
	Labels     map[string]string // fixed ones
	Number     float64
}

// Values adds numbers under names that are not this project's own. read always returns the same ones.
func (r *Registry) Values(read func() []Value) {
	var descs []*prometheus.Desc
	for _, v := range read() {
		descs = append(descs, v.desc())
	}
	r.collect(func(out chan<- prometheus.Metric) {
		for i, v := range read() {
			out <- prometheus.MustNewConstMetric(descs[i], v.kind(), v.Number, v.values()...)
		}
	}, descs...)
}

func (v Value) desc() *prometheus.Desc { return prometheus.NewDesc(v.Name, v.Help, v.labels(), nil) }

func (v Value) labels() []string { return slices.Sorted(maps.Keys(v.Labels)) }

func (v Value) values() (values []string) {
	for _, name := range v.labels() {
		values = append(values, v.Labels[name])
	}
	return values
}

func (v Value) kind() prometheus.ValueType {
	if v.Gauge {
		return prometheus.GaugeValue
	}
	return prometheus.CounterValue
}
