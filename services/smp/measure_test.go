package main

import (
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/client"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/smptest"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/auth"
	"sotto/shared/metrics"
	"sotto/shared/metrics/metricstest"
	"sotto/shared/pg/pgtest"
	"sotto/shared/settings"
	"sotto/shared/smp"
)

// documentation is what operators read of the metrics.
const documentation = "../../docs/metrics.md"

// TestMetricsAreDocumented keeps the table and what is measured in step.
func TestMetricsAreDocumented(t *testing.T) {
	r := metrics.New(service, version)
	r.Ready(service, new(metrics.Ready))
	r.Store(service)
	measured{front: new(front)}.register(r)
	metricstest.CheckTable(t, documentation, "sotto_smp_", r.Families())
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

// TestMetricsOfARelay has a relay with its database work, and looks at everything that it shows.
func TestMetricsOfARelay(t *testing.T) {
	registry := metrics.New(service, version)
	store, err := pgstore.Open(t.Context(), pgstore.Options{
		URL: pgtest.Open(t), Measure: registry.Store(service), Logger: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	relay := smptest.Start(t, smptest.Options{Store: store})
	measured{
		relay: relay.Server, store: store, identity: relay.Identity, front: new(front), names: settings.MetricsSimpleX,
	}.register(registry)
	c := client.New(relay.Dial(t, smptest.At(smp.MaxVersion)))
	q, err := c.NewQueue(t.Context(), client.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(t.Context(), q.SenderID, auth.Key{}, true, []byte("private")); err != nil {
		t.Fatal(err)
	}
	families := metricstest.Gather(t, registry.Gatherer())
	for name, want := range map[string]float64{
		"sotto_smp_queues_created_total":    1,
		"sotto_smp_messages_received_total": 1,
		"sotto_smp_connections":             1,
		"sotto_smp_database_up":             1,
		"simplex_smp_queues_created":        1,
		"simplex_smp_messages_sent":         1,
	} {
		if got := metricstest.Value(families, name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, c := range []struct {
		name   string
		labels []string
	}{
		{"sotto_smp_commands_total", []string{"command=SEND", "outcome=ok"}},
		{"sotto_smp_store_operations_total", []string{"operation=append", "outcome=done"}},
		{"sotto_smp_store_seconds", []string{"operation=append"}},
		{"sotto_smp_store_seconds", []string{"operation=change"}},
		{"sotto_smp_database_connections", nil},
		{"sotto_smp_identity_expiry_seconds", []string{"certificate=online"}},
	} {
		if metricstest.Value(families, c.name, c.labels...) <= 0 {
			t.Errorf("%s%v does not grow", c.name, c.labels)
		}
	}
	metricstest.CheckLabels(t, families, metricstest.Allowed(service, version, labels, map[string][]string{
		"type": {"all", "auth", "prohibited", "quota", "large", "lost", "expired", "connect", "compat", "other"}, "source": {"all"},
	}))
}
