package metrics

import (
	"reflect"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Counts adds the counters of a struct, as package count has them. The tag metric of a field is its name, help what it is.
// A field that is an array has the names of its labels in the tag labels, one for each dimension, and values has what a
// label is at each place of the array. read returns the struct, all of the same type as zero.
func (r *Registry) Counts(zero any, values map[string][]string, read func() any) {
	t := reflect.TypeOf(zero)
	fields := make([]field, t.NumField())
	descs := make([]*prometheus.Desc, t.NumField())
	for i := range fields {
		fields[i] = r.newField(t.Field(i), values)
		descs[i] = fields[i].desc
	}
	r.collect(func(out chan<- prometheus.Metric) {
		now := reflect.ValueOf(read())
		for i := range fields {
			fields[i].collect(out, now.Field(i), nil)
		}
	}, descs...)
}

// field is one field of such a struct.
type field struct {
	desc   *prometheus.Desc
	values [][]string // of its labels
}

func (r *Registry) newField(f reflect.StructField, values map[string][]string) field {
	var names []string
	if text := f.Tag.Get("labels"); text != "" {
		names = strings.Split(text, ",")
	}
	made := field{desc: r.family("counter", f.Tag.Get("metric"), f.Tag.Get("help"), names...)}
	t := f.Type
	for _, name := range names {
		if t.Len() != len(values[name]) {
			panic("metrics: " + f.Name + " and the values of its label " + name + " are not in step")
		}
		made.values = append(made.values, values[name])
		t = t.Elem()
	}
	return made
}

// collect sends the counters in v. Series with labels come into being with their first count, so that commands that nobody
// sends take no room.
func (f *field) collect(out chan<- prometheus.Metric, v reflect.Value, labels []string) {
	if len(labels) < len(f.values) {
		for i, value := range f.values[len(labels)] {
			f.collect(out, v.Index(i), append(labels[:len(labels):len(labels)], value))
		}
		return
	}
	if n := v.Uint(); n > 0 || len(labels) == 0 {
		out <- prometheus.MustNewConstMetric(f.desc, prometheus.CounterValue, float64(n), labels...)
	}
}
