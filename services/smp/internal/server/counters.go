package server

import (
	"sync/atomic"

	"sotto/shared/count"
	"sotto/shared/smp"
)

// Outcome is what became of a command, as coarse as an operator needs it.
type Outcome uint8

// Outcomes.
const (
	OutcomeOK       Outcome = iota
	OutcomeAuth             // AUTH: a wrong key, an unknown queue, or another refusal
	OutcomeQuota            // QUOTA: the queue is full
	OutcomeBlocked          // BLOCKED: an operator has blocked the queue
	OutcomeInternal         // INTERNAL: storage trouble
	OutcomeError            // any other error
	outcomes
)

// Outcomes are the names of the outcomes, in their order.
var Outcomes = [outcomes]string{"ok", "auth", "quota", "blocked", "internal", "error"}

// commandTags is how many commands are told apart; the last place is for what is none.
const commandTags = 25

// Tags are the names of what is counted as commands, in their order. The last is for transmissions that no command could
// be read from, so nothing that a client writes becomes a name.
var Tags = [commandTags]string{
	"NEW", "SUB", "SUBS", "KEY", "SKEY", "RKEY", "ACK", "GET", "OFF", "DEL", "QUE", "SEND", "LSET", "LDEL", "LKEY", "LGET",
	"NKEY", "NDEL", "NSUB", "NSUBS", "PING", "PRXY", "PFWD", "RFWD", "none",
}

// Counts are what the relay counts since its start: sums over everybody, nothing about a queue, a client or an address.
// The tags name the metric and tell what it is; a test keeps docs/metrics.md in step.
type Counts[N any] struct {
	Accepted     N `metric:"smp_connections_accepted_total" help:"Connections accepted."`
	TLSDone      N `metric:"smp_tls_handshakes_total" help:"TLS handshakes that succeeded."`
	TLSFailed    N `metric:"smp_tls_handshake_failures_total" help:"TLS handshakes that failed."`
	HelloRefused N `metric:"smp_hello_failures_total" help:"SMP handshakes that failed after TLS."`
	BlocksRead   N `metric:"smp_blocks_read_total" help:"Blocks of 16 KB read from clients."`
	BlocksSent   N `metric:"smp_blocks_sent_total" help:"Blocks of 16 KB written to clients."`

	Commands [commandTags][outcomes]N `metric:"smp_commands_total" labels:"command,outcome" help:"Commands by tag and outcome."`

	QueuesCreated N `metric:"smp_queues_created_total" help:"Queues created."`
	QueuesSecured N `metric:"smp_queues_secured_total" help:"Sender keys set with KEY and SKEY."`
	QueuesDeleted N `metric:"smp_queues_deleted_total" help:"Queues deleted."`

	QueuesRefused  N `metric:"smp_queues_refused_full_total" help:"NEW refused because there are SMP_MAX_QUEUES queues."`
	CreatedTooFast N `metric:"smp_closed_new_rate_total" help:"Connections closed for more NEW than SMP_NEW_RATE allows."`
	ProxiedTooFast N `metric:"smp_closed_proxy_rate_total" help:"Connections closed for more PRXY than SMP_PROXY_RATE allows."`

	MessagesReceived     N `metric:"smp_messages_received_total" help:"Messages stored by SEND."`
	BytesReceived        N `metric:"smp_messages_received_bytes_total" help:"Bytes of the bodies of these, as clients sealed them."`
	MessagesDelivered    N `metric:"smp_messages_delivered_total" help:"MSG sent, repeated ones and quota markers included."`
	MessagesAcknowledged N `metric:"smp_messages_acknowledged_total" help:"Messages that their recipients acknowledged."`
	MessagesExpired      N `metric:"smp_messages_expired_total" help:"Messages removed because of their age."`
	QueueFull            N `metric:"smp_messages_refused_full_total" help:"SEND to queues that were full."`

	Subscribed N `metric:"smp_subscriptions_total" help:"Queues subscribed with SUB or NEW, again included."`
	EndsSent   N `metric:"smp_subscription_ends_total" help:"END sent: another connection has subscribed."`
	DeldSent   N `metric:"smp_subscription_deletions_total" help:"DELD sent: the queue was deleted by another connection."`

	NotifiersCreated       N `metric:"smp_notifiers_created_total" help:"Notifiers set with NKEY or NEW."`
	NotifiersDeleted       N `metric:"smp_notifiers_deleted_total" help:"Notifiers removed with NDEL."`
	NotificationsCreated   N `metric:"smp_notifications_created_total" help:"Notifications made for messages."`
	NotificationsDelivered N `metric:"smp_notifications_delivered_total" help:"NMSG sent."`
	NotificationsExpired   N `metric:"smp_notifications_expired_total" help:"Notifications removed because of their age."`
	NotificationsDropped   N `metric:"smp_notifications_dropped_total" help:"Notifications dropped for want of room."`

	Forwarded [commandTags][outcomes]N `metric:"smp_forwarded_commands_total" labels:"command,outcome" help:"Commands inside RFWD, which other relays forwarded, by tag and outcome."`
}

// Counters count what the relay does. Adding is one atomic instruction and allocates nothing.
type Counters struct{ Counts[atomic.Uint64] }

// Snapshot is what was counted, and how many there are of what comes and goes.
type Snapshot struct {
	Counts[uint64]
	Connections   int // now
	Subscriptions int // queues with a current subscriber
}

// Command counts a command that was answered with err, nil for success. A nil command is none that could be read.
func (c *Counters) Command(cmd smp.Command, err smp.Error) {
	c.Commands[tagIndex(cmd)][outcomeOf(err)].Add(1)
}

// ForwardedCommand counts a command that came inside RFWD.
func (c *Counters) ForwardedCommand(cmd smp.Command, err smp.Error) {
	c.Forwarded[tagIndex(cmd)][outcomeOf(err)].Add(1)
}

// Counters returns the relay's counters, to add to.
func (s *Server) Counters() *Counters { return &s.count }

// Snapshot reads all counters.
func (s *Server) Snapshot() Snapshot {
	n := Snapshot{Connections: s.Connections(), Subscriptions: s.Subscriptions()}
	count.Load(&n.Counts, &s.count.Counts)
	return n
}

func outcomeOf(err smp.Error) Outcome {
	switch e := err.(type) {
	case nil:
		return OutcomeOK
	case smp.BlockedError:
		return OutcomeBlocked
	case smp.ErrorCode:
		switch e {
		case smp.ErrAuth:
			return OutcomeAuth
		case smp.ErrQuota:
			return OutcomeQuota
		case smp.ErrInternal:
			return OutcomeInternal
		}
	}
	return OutcomeError
}

// tagIndex is the place of a command in [Tags].
func tagIndex(cmd smp.Command) int {
	if cmd == nil {
		return commandTags - 1
	}
	if i, ok := tagPlaces[cmd.Tag()]; ok {
		return i
	}
	return commandTags - 1
}

// tagPlaces is the inverse of Tags.
var tagPlaces = func() map[string]int {
	places := make(map[string]int, commandTags)
	for i, tag := range Tags {
		places[tag] = i
	}
	return places
}()

// refused counts messages for queues that are full.
func (c *Counters) refused(err smp.Error) {
	if err == smp.ErrQuota {
		c.QueueFull.Add(1)
	}
}

// event counts what is told without having been asked for.
func (c *Counters) event(r smp.Response) {
	switch r.(type) {
	case smp.END:
		c.EndsSent.Add(1)
	case smp.DELD:
		c.DeldSent.Add(1)
	case *notification:
		c.NotificationsDelivered.Add(1)
	}
}
