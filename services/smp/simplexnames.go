package main

import (
	"slices"

	"sotto/services/smp/internal/server"
	"sotto/shared/metrics"
)

// simplexNames are the numbers that SimpleX's own server has, too, under its names. Those that have no counterpart here are
// listed in docs/metrics.md. Its spelling is kept.
func simplexNames(n server.Snapshot) []metrics.Value {
	command := func(tag string, outcome server.Outcome) uint64 {
		return n.Commands[slices.Index(server.Tags[:], tag)][outcome]
	}
	var all []metrics.Value
	add := func(name, help string, number uint64, labels ...string) {
		v := metrics.Value{Name: "simplex_smp_" + name, Help: help, Number: float64(number), Labels: map[string]string{}}
		for i := 0; i < len(labels); i += 2 {
			v.Labels[labels[i]] = labels[i+1]
		}
		all = append(all, v)
	}
	add("queues_created", "Queues created.", n.QueuesCreated)
	add("queues_secured", "Queues secured.", n.QueuesSecured)
	add("queues_deleted", "Queues deleted.", n.QueuesDeleted, "type", "all")
	add("subscribtion_successes", "Queues subscribed.", n.Subscribed)
	add("subscribtion_end", "Subscriptions taken by another connection.", n.EndsSent)
	add("subscribtion_errors", "Subscriptions refused.", command("SUB", server.OutcomeAuth), "type", "auth")
	add("subscribtion_errors", "Subscriptions refused.", command("SUB", server.OutcomeError), "type", "prohibited")
	add("messages_sent", "Messages stored.", n.MessagesReceived)
	add("messages_sent_errors", "Messages refused.", command("SEND", server.OutcomeAuth), "type", "auth")
	add("messages_sent_errors", "Messages refused.", command("SEND", server.OutcomeQuota), "type", "quota")
	add("messages_sent_errors", "Messages refused.", command("SEND", server.OutcomeError), "type", "large")
	add("messages_received", "Messages acknowledged.", n.MessagesAcknowledged)
	add("messages_expired", "Messages expired.", n.MessagesExpired)
	add("queues_notify_created", "Notifiers created.", n.NotifiersCreated)
	add("queues_notify_deleted", "Notifiers deleted.", n.NotifiersDeleted)
	add("messages_ntf_successes", "Notifications sent.", n.NotificationsDelivered)
	add("messages_ntf_errors", "Notifications not sent.", n.NotificationsDropped, "type", "lost")
	add("messages_ntf_errors", "Notifications not sent.", n.NotificationsExpired, "type", "expired")
	add("subscription_ntf_requests", "Notifiers subscribed.", command("NSUB", server.OutcomeOK))
	add("subscribtion_ntf_errors", "Subscriptions of notifiers refused.", command("NSUB", server.OutcomeAuth), "type", "auth")
	add("relay_messages_received", "Messages that other relays forwarded.", command("RFWD", server.OutcomeOK))
	all = append(all,
		metrics.Value{Name: "simplex_smp_clients_total", Help: "Clients connected.", Gauge: true, Number: float64(n.Connections)},
		metrics.Value{
			Name: "simplex_smp_subscribtion_total", Help: "Queues with a subscriber.", Gauge: true, Number: float64(n.Subscriptions),
		},
		metrics.Value{
			Name: "simplex_smp_info", Help: "1, with the version.", Gauge: true, Number: 1,
			Labels: map[string]string{"version": "sotto " + version, "rts_options": ""},
		},
	)
	return all
}
