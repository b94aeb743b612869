package main

import (
	"net"
	"time"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/pgstore"
	"sotto/shared/identity"
	"sotto/shared/metrics"
	"sotto/shared/settings"
	"sotto/shared/site"
)

// service is the part of the metrics' names that tells the relays apart.
const service = "xftp"

// labels are the values that the labels of counters have.
var labels = map[string][]string{"command": server.Tags[:], "outcome": server.Outcomes[:]}

// measured is what there is to measure, and under which names.
type measured struct {
	relay     *server.Server
	store     *pgstore.Store
	identity  *identity.Identity
	pages     *site.Site
	listeners []net.Listener
	names     string // as in XFTP_METRICS_NAMES
}

// register shows all of it in r.
func (m measured) register(r *metrics.Registry) {
	r.Counts(server.Counts[uint64]{}, labels, func() any { return m.relay.Snapshot().Counts })
	r.Gauge("xftp_connections", "Clients connected now.", func() float64 { return float64(m.relay.Connections()) })
	r.Gauge("xftp_transfers", "Uploads and downloads under way.", func() float64 { return float64(m.relay.Snapshot().Transfers) })
	r.Gauge("xftp_chunks_stored", "Chunks with a body.", func() float64 { return float64(m.store.Usage().Chunks) })
	r.Gauge("xftp_stored_bytes", "Bytes of these.", func() float64 { return float64(m.store.Usage().Bytes) })
	r.Gauge("xftp_reserved_bytes", "Bytes that uploads under way have reserved.",
		func() float64 { return float64(m.store.Usage().Reserved) })
	r.Gauge("xftp_quota_bytes", "Bytes that all chunks may take, +Inf without a limit.",
		func() float64 { return metrics.Limit(m.store.Usage().Quota) })
	r.Database(service, m.store)
	r.Listeners(service, m.listeners)
	r.Times("xftp_identity_expiry_seconds", "When the relay's online certificate ends, in seconds since 1970.", "certificate",
		func(yield func(string, time.Time)) { yield("online", m.identity.Expires()) })
	r.Times("xftp_web_certificate_expiry_seconds", "When the certificate for browsers ends, in seconds since 1970.", "host",
		m.pages.Expiries)
	if m.names == settings.MetricsSimpleX {
		r.Values(func() []metrics.Value { return simplexNames(m.relay.Snapshot()) })
	}
}

// simplexNames are the numbers that SimpleX's own server has, too, under its names. Those that have no counterpart here are
// listed in docs/metrics.md.
func simplexNames(n server.Snapshot) []metrics.Value {
	var all []metrics.Value
	add := func(name, help string, gauge bool, number float64) {
		all = append(all, metrics.Value{Name: "simplex_xftp_" + name, Help: help, Gauge: gauge, Number: number})
	}
	add("files_created", "Chunks registered.", false, float64(n.ChunksCreated))
	add("files_recipients", "Recipients registered.", false, float64(n.RecipientsAdded))
	add("files_uploaded", "Chunks uploaded.", false, float64(n.ChunksUploaded))
	add("files_expired", "Chunks expired.", false, float64(n.ChunksExpired))
	add("files_deleted", "Chunks deleted.", false, float64(n.ChunksDeleted))
	add("file_downloads", "Downloads.", false, float64(n.Downloads))
	add("file_download_acks", "Downloads acknowledged.", false, float64(n.Acknowledged))
	add("files_count", "Chunks stored.", true, float64(n.Usage.Chunks))
	add("files_size", "Bytes of these.", true, float64(n.Usage.Bytes))
	add("info", "1, with the version.", true, 1)
	all[len(all)-1].Labels = map[string]string{"version": "sotto " + version, "rts_options": ""}
	return all
}
