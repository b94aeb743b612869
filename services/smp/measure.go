package main

import (
	"net"
	"slices"
	"time"

	"sotto/services/smp/internal/proxy"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/identity"
	"sotto/shared/metrics"
	"sotto/shared/settings"
)

// service is the part of the metrics' names that tells the relays apart.
const service = "smp"

// labels are the values that the labels of counters have.
var labels = map[string][]string{"command": server.Tags[:], "outcome": server.Outcomes[:]}

// proxyLabels are those of the counters of private routing.
var proxyLabels = map[string][]string{"relay": proxy.Kinds[:], "outcome": proxy.Outcomes[:]}

// measured is what there is to measure, and under which names.
type measured struct {
	relay     *server.Server
	store     *pgstore.Store
	identity  *identity.Identity
	front     *front
	relays    *proxy.Relays // nil: no private routing
	listeners []net.Listener
	names     string // as in SMP_METRICS_NAMES
}

// register shows all of it in r.
func (m measured) register(r *metrics.Registry) {
	r.Counts(server.Counts[uint64]{}, labels, func() any { return m.relay.Snapshot().Counts })
	r.Gauge("smp_connections", "Clients connected now, after their handshake.",
		func() float64 { return float64(m.relay.Connections()) })
	r.Gauge("smp_subscriptions", "Queues with a current subscriber.",
		func() float64 { return float64(m.relay.Subscriptions()) })
	r.Gauge("smp_notifier_subscriptions", "Notifiers with a current subscriber of their own.",
		func() float64 { return float64(m.relay.Notifications().Subscriptions) })
	r.Gauge("smp_services", "Notification services with a connection that listens.",
		func() float64 { return float64(m.relay.Notifications().Services) })
	r.Gauge("smp_notifications_waiting", "Notifications that wait for their notifiers.",
		func() float64 { return float64(m.relay.Notifications().Waiting) })
	r.Counts(proxy.Counts[uint64]{}, proxyLabels, func() any { return proxied(m.relays).Counts })
	r.Gauge("smp_proxy_sessions", "Other relays that this one is connected to for its clients.",
		func() float64 { return float64(proxied(m.relays).Sessions) })
	r.Database(service, m.store)
	r.Listeners(service, slices.Concat(m.listeners, m.front.listeners))
	r.Times("smp_identity_expiry_seconds", "When the relay's online certificate ends, in seconds since 1970.", "certificate",
		func(yield func(string, time.Time)) { yield("online", m.identity.Expires()) })
	r.Times("smp_web_certificate_expiry_seconds", "When the certificate for browsers ends, in seconds since 1970.", "host",
		m.front.expiries)
	if m.names == settings.MetricsSimpleX {
		r.Values(func() []metrics.Value { return simplexNames(m.relay.Snapshot()) })
	}
}

// expiries tells when the certificates for browsers end, by the relay's own host names.
func (f *front) expiries(yield func(string, time.Time)) {
	if f.site != nil {
		f.site.Expiries(yield)
	}
}
