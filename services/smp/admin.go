package main

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/proxy"
	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/admin"
	"sotto/shared/certs"
	"sotto/shared/identity"
	"sotto/shared/logging"
	"sotto/shared/pg"
)

const adminUsage = `smp admin looks at the running relay, and acts on abuse. Run it where the relay runs, as its user.

Usage: smp admin [-o json] COMMAND

  status          how the relay is, on one screen
  stats           what it has counted since its start
  queue QUEUE     what the relay knows of a queue. QUEUE is a sender or link id, or
                  a link from a report: an address, an invitation, a group. Of a
                  link with a key, only the id leaves this command. "-" reads it
                  from the standard input, which no list of processes shows
  queue QUEUE block
                    --reason spam|content  what apps show as the reason (spam)
                    --notice [TIME]        with a notice, of use for a time such
                                           as 12h or 30d, or for ever
  queue QUEUE unblock
  queue QUEUE delete
                    --yes          do not ask

  -o json         for programs; text is for people
`

// adminCommand is the command admin.
func adminCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	return admin.Command{
		Program: "smp", Object: "queue", Kinds: []string{kindSender, kindLink}, Usage: adminUsage, Find: findQueues,
		Socket: func() (string, error) {
			cfg, err := LoadConfig()
			if err != nil {
				return "", err
			}
			return cfg.adminPlace().Reach()
		},
		Status: showStatus, Stats: admin.ShowStats, About: showQueue,
		Said: map[string]string{
			"block":   "The queue is blocked.",
			"unblock": "The queue is not blocked.",
			"delete":  "The queue is deleted.",
		},
	}.Main(ctx, args, stdout, stderr)
}

// adminPlace is where the relay takes admin commands.
func (c *Config) adminPlace() admin.Place {
	return admin.Place{Setting: "SMP_ADMIN_SOCKET", Value: c.AdminSocket, DataDir: c.DataDir, Program: "smp"}
}

// administered is what admin commands look at and change.
type administered struct {
	started  time.Time
	cfg      *Config
	relay    *server.Server
	store    *pgstore.Store
	identity *identity.Identity
	front    *front
	relays   *proxy.Relays // nil: no private routing
	recent   *logging.Recent
	log      zerolog.Logger
}

// handlers are the commands.
func (a administered) handlers() map[string]admin.Handler {
	handlers := map[string]admin.Handler{
		"status": func(ctx context.Context, _ json.RawMessage) (any, error) { return a.status(ctx), nil },
		"stats":  func(context.Context, json.RawMessage) (any, error) { return a.stats(), nil },
	}
	a.queueHandlers(handlers)
	return handlers
}

// status is what the command of this name tells.
type status struct {
	admin.Common
	Connections    int    `json:"connections"`
	MaxConnections int    `json:"maxConnections"` // of each listener
	Subscriptions  int    `json:"subscriptions"`
	Queues         int64  `json:"queues"`
	Messages       *int64 `json:"messagesWaiting"` // null: not known
	Exact          bool   `json:"messagesWaitingExact"`
	Created        uint64 `json:"queuesCreated"` // this and the following since the start
	Received       uint64 `json:"messagesReceived"`
	Delivered      uint64 `json:"messagesDelivered"`
	Handshakes     uint64 `json:"handshakes"`
	Failed         uint64 `json:"handshakesFailed"`
	// Routing is about private routing; null: it is off.
	Routing *routing `json:"privateRouting"`
}

func (a administered) status(ctx context.Context) status {
	n := a.relay.Snapshot()
	s := status{
		Common: admin.Common{
			Program: "smp", Version: version, Started: a.started, Now: time.Now(), Identity: a.identity.Expires(),
			Database:     admin.Ask(ctx, pg.Describe(a.cfg.DatabaseURL), a.store),
			Certificates: admin.Certificates(a.front.certificates()), Troubles: a.recent.Entries(),
		},
		Connections: n.Connections, MaxConnections: a.cfg.MaxConnections, Subscriptions: n.Subscriptions,
		Queues: a.store.Count(), Created: n.QueuesCreated, Received: n.MessagesReceived, Delivered: n.MessagesDelivered,
		Handshakes: n.TLSDone, Failed: n.TLSFailed + n.HelloRefused, Routing: a.routing(),
	}
	if !s.Database.Reachable {
		return s
	}
	if waiting, exact, err := a.store.Waiting(ctx); err == nil {
		s.Messages, s.Exact = &waiting, exact
	}
	return s
}

// stats are the relay's counters.
func (a administered) stats() admin.Stats {
	return admin.Stats{
		Program: "smp", Started: a.started, Now: time.Now(),
		Counters: slices.Concat(
			admin.Counters(a.relay.Snapshot().Counts, server.Tags[:], server.Outcomes[:]),
			admin.Counters(proxied(a.relays).Counts, proxy.Kinds[:], proxy.Outcomes[:]),
		),
	}
}

// showStatus shows a status to a person.
func showStatus(answer json.RawMessage) ([]admin.Section, error) {
	var s status
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, err
	}
	waiting := "not known"
	if s.Messages != nil {
		waiting = admin.Number(*s.Messages) + " waiting"
		if !s.Exact {
			waiting = "about " + waiting
		}
	}
	rows := []admin.Row{
		{Name: "connections", Value: admin.Number(s.Connections) + " of " + admin.Number(s.MaxConnections) + " at each port; " +
			admin.Number(s.Handshakes) + " came so far, " + admin.Number(s.Failed) + " failed"},
		{Name: "subscriptions", Value: admin.Number(s.Subscriptions)},
		{Name: "queues", Value: admin.Number(s.Queues) + "; " + admin.Number(s.Created) + " created so far"},
		{Name: "messages", Value: waiting + "; " + admin.Number(s.Received) + " received so far, " + admin.Number(s.Delivered) + " delivered"},
		s.Routing.row(),
	}
	return []admin.Section{{Title: s.Title(), Rows: append(rows, s.Rows()...)}, s.Trouble()}, nil
}

// certificates tells how it is about the certificates for browsers.
func (f *front) certificates() []certs.Status {
	if f.site == nil {
		return nil
	}
	return f.site.Certificates()
}
