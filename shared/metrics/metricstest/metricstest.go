// Package metricstest helps the tests of what a relay measures.
package metricstest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"sotto/shared/metrics"
	"sotto/shared/pg"
)

// Gather reads everything.
func Gather(t *testing.T, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// Value returns the sum of the series of a metric that have these labels, written name=value; 0 when there are none.
func Value(families []*dto.MetricFamily, name string, labels ...string) (sum float64) {
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			if hasAll(m, labels) {
				sum += number(m)
			}
		}
	}
	return sum
}

func hasAll(m *dto.Metric, labels []string) bool {
	var has []string
	for _, l := range m.GetLabel() {
		has = append(has, l.GetName()+"="+l.GetValue())
	}
	return !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(has, l) })
}

func number(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	case m.GetUntyped() != nil:
		return m.GetUntyped().GetValue()
	default:
		return float64(m.GetHistogram().GetSampleCount())
	}
}

// CheckLabels fails the test for each label with a value that is not among those allowed for its name, which keeps out
// everything that clients choose.
func CheckLabels(t *testing.T, families []*dto.MetricFamily, allowed map[string][]string) {
	t.Helper()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(allowed[l.GetName()], l.GetValue()) {
					t.Errorf("%s has the label %s=%q", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

// Row is a metric's line in the table of the documentation.
func Row(f metrics.Family) string {
	labels := strings.Join(f.Labels, ", ")
	if labels != "" {
		labels = " " + labels
	}
	return fmt.Sprintf("| `%s` | %s |%s | %s |", f.Name, f.Kind, labels, f.Help)
}

// CheckTable fails the test unless the file has the line of each metric, and no line of a metric with this prefix that there
// is not.
func CheckTable(t *testing.T, file, prefix string, families []metrics.Family) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(content), "\n")
	var rows []string
	for _, f := range families {
		rows = append(rows, Row(f))
		if !slices.Contains(lines, Row(f)) {
			t.Errorf("%s has no line\n%s", file, Row(f))
		}
	}
	for _, line := range lines {
		if strings.HasPrefix(line, "| `"+prefix) && !slices.Contains(rows, line) {
			t.Errorf("%s has a line of what is not measured, or measured otherwise:\n%s", file, line)
		}
	}
}

// Allowed lists the values that labels may have in a relay: its own, those of its counters, those of what every relay measures
// and, in more, those of what only this one does.
func Allowed(service, version string, own, more map[string][]string) map[string][]string {
	allowed := map[string][]string{
		"service":     {service},
		"version":     {version, runtime.Version(), "sotto " + version},
		"go":          {runtime.Version()},
		"quantile":    {"0", "0.25", "0.5", "0.75", "1"},
		"certificate": {"online"},
		"operation":   pg.Operations[:],
		"rts_options": {""},
	}
	for _, values := range []map[string][]string{own, more} {
		for name, of := range values {
			allowed[name] = append(allowed[name], of...)
		}
	}
	allowed["outcome"] = append(allowed["outcome"], pg.Outcomes[:]...)
	return allowed
}
