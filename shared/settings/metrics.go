package settings

// Names of metrics.
const (
	MetricsSotto   = "sotto"
	MetricsSimpleX = "simplex"
)

// Metrics is what both relays can be told about measurements. It is a part of their settings.
type Metrics struct {
	// MetricsListen: an address for what the relay measures, /metrics, and for /healthz and /readyz, by plain HTTP. Whoever
	// reaches it may read it: it is for a network of the operator's own. Empty: there is none.
	MetricsListen string `envconfig:"METRICS_LISTEN"`
	// MetricsNames: sotto, the names in docs/metrics.md; or simplex, which adds the names that dashboards for SimpleX's own
	// servers ask for.
	MetricsNames string `envconfig:"METRICS_NAMES" default:"sotto"`
}

// Check finds values that make no sense.
func (m Metrics) Check(prefix string) error {
	if m.MetricsNames != MetricsSotto && m.MetricsNames != MetricsSimpleX {
		return Bad("%s_METRICS_NAMES must be %s or %s", prefix, MetricsSotto, MetricsSimpleX)
	}
	if m.MetricsListen == "" {
		return nil
	}
	return CheckListen(prefix+"_METRICS_LISTEN", []string{m.MetricsListen})
}
