package metrics_test

import (
	"testing"

	"sotto/shared/metrics"
	"sotto/shared/metrics/metricstest"
)

type counts[N any] struct {
	Plain N       `metric:"plain_total" help:"Plain."`
	Table [2][3]N `metric:"table_total" labels:"row,column" help:"With labels."`
}

var values = map[string][]string{"row": {"a", "b"}, "column": {"x", "y", "z"}}

func TestCountsHaveTheirLabels(t *testing.T) {
	r := metrics.New("test", "v")
	now := counts[uint64]{Plain: 7, Table: [2][3]uint64{1: {2: 12}}}
	r.Counts(counts[uint64]{}, values, func() any { return now })
	families := metricstest.Gather(t, r.Gatherer())
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"sotto_plain_total", nil, 7},
		{"sotto_table_total", []string{"row=b", "column=z"}, 12},
		{"sotto_table_total", []string{"row=a"}, 0},
		{"sotto_build_info", []string{"service=test", "version=v"}, 1},
	} {
		if got := metricstest.Value(families, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
}

func TestCountsThatNobodyMadeTakeNoRoom(t *testing.T) {
	r := metrics.New("test", "v")
	r.Counts(counts[uint64]{}, values, func() any { return counts[uint64]{} })
	plain := false
	for _, f := range metricstest.Gather(t, r.Gatherer()) {
		plain = plain || f.GetName() == "sotto_plain_total"
		if f.GetName() == "sotto_table_total" {
			t.Errorf("%d series of what was never counted", len(f.GetMetric()))
		}
	}
	if !plain {
		t.Error("a counter without labels is missing before its first count")
	}
}

func TestCountsThatDoNotFitTheirLabels(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an array was taken whose labels have other values")
		}
	}()
	metrics.New("test", "v").Counts(counts[uint64]{}, map[string][]string{"row": {"a"}}, nil)
}

func TestValuesHaveForeignNames(t *testing.T) {
	r := metrics.New("test", "v")
	number := 1.0
	r.Values(func() []metrics.Value {
		return []metrics.Value{
			{Name: "other_a", Help: "A.", Number: number, Labels: map[string]string{"type": "one"}},
			{Name: "other_a", Help: "A.", Number: 2 * number, Labels: map[string]string{"type": "two"}},
			{Name: "other_b", Help: "B.", Number: 3, Gauge: true},
		}
	})
	number = 10
	families := metricstest.Gather(t, r.Gatherer())
	for name, want := range map[string]float64{"one": 10, "two": 20} {
		if got := metricstest.Value(families, "other_a", "type="+name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := metricstest.Value(families, "other_b"); got != 3 {
		t.Errorf("the gauge is %v", got)
	}
}
