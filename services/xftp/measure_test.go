package main

import (
	"os"
	"strings"
	"testing"

	"sotto/services/xftp/internal/server"
	"sotto/shared/metrics"
	"sotto/shared/metrics/metricstest"
	"sotto/shared/site"
)

// documentation is what operators read of the metrics.
const documentation = "../../docs/metrics.md"

// TestMetricsAreDocumented keeps the table and what is measured in step.
func TestMetricsAreDocumented(t *testing.T) {
	r := metrics.New(service, version)
	r.Ready(service, new(metrics.Ready))
	r.Store(service)
	measured{pages: new(site.Site)}.register(r)
	metricstest.CheckTable(t, documentation, "sotto_xftp_", r.Families())
}

// TestSimplexNamesAreDocumented checks that the other server's names are in the documentation, each in its column.
func TestSimplexNamesAreDocumented(t *testing.T) {
	content, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range simplexNames(server.Snapshot{}) {
		if !strings.Contains(string(content), "| `"+v.Name+"` |") {
			t.Errorf("%s has no line of %s", documentation, v.Name)
		}
	}
}
