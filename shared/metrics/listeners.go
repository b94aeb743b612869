package metrics

import (
	"net"

	"sotto/shared/transport"
)

// Listeners adds what the ports of the service with this name count, all of them together. Those that count nothing, because
// another port hands them its connections, add nothing.
func (r *Registry) Listeners(service string, listeners []net.Listener) {
	sum := func(read func(transport.Stats) float64) func() float64 {
		return func() (all float64) {
			for _, ln := range listeners {
				if counts, ok := ln.(interface{ Stats() transport.Stats }); ok {
					all += read(counts.Stats())
				}
			}
			return all
		}
	}
	name := service + "_sockets_"
	r.Gauge(name+"open", "Connections to the relay's ports now, browsers and unfinished handshakes included.",
		sum(func(s transport.Stats) float64 { return float64(s.Connections) }))
	r.Gauge(name+"handshaking", "Of these, in their TLS handshake.",
		sum(func(s transport.Stats) float64 { return float64(s.Handshakes) }))
	r.Counter(name+"refused_total", "Connections closed as they arrived, because there were too many.",
		sum(func(s transport.Stats) float64 { return float64(s.Refused) }))
	r.Counter(name+"evicted_total", "Connections closed within their handshake, to make room for newer ones.",
		sum(func(s transport.Stats) float64 { return float64(s.Evicted) }))
	r.Counter(name+"crowded_total", "Connections closed before TLS, because their source had too many.",
		sum(func(s transport.Stats) float64 { return float64(s.Crowded) }))
	r.Counter(name+"too_fast_total", "Connections closed before TLS, because their source connects too often.",
		sum(func(s transport.Stats) float64 { return float64(s.TooFast) }))
}
