package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"sotto/services/smp/internal/queue"
	"sotto/services/smp/internal/server"
	"sotto/shared/admin"
)

// kinds are the kinds of ids by their names.
var kinds = map[string]server.Kind{"": server.AnyID, kindSender: server.SenderID, kindLink: server.LinkID}

// onQueue is what a command does to the queue with an id.
type onQueue func(ctx context.Context, kind server.Kind, id []byte, c admin.Change) (any, error)

// queueHandlers are the commands for a queue.
func (a administered) queueHandlers(handlers map[string]admin.Handler) {
	for action, do := range map[string]onQueue{
		"status": a.queueStatus,
		"block": func(ctx context.Context, kind server.Kind, id []byte, c admin.Change) (any, error) {
			return a.changed("a queue was blocked", a.relay.Block(ctx, kind, id, queue.Blocking{
				Reason: c.Reason, HasNotice: c.Notice, NoticeTTL: c.TTL,
			}))
		},
		"unblock": func(ctx context.Context, kind server.Kind, id []byte, _ admin.Change) (any, error) {
			return a.changed("a queue was unblocked", a.relay.Unblock(ctx, kind, id))
		},
		"delete": func(ctx context.Context, kind server.Kind, id []byte, _ admin.Change) (any, error) {
			return a.changed("a queue was deleted", a.relay.DeleteQueue(ctx, kind, id))
		},
	} {
		handlers["queue/"+action] = func(ctx context.Context, in json.RawMessage) (any, error) { return do.handle(ctx, in) }
	}
}

// handle reads which queue is meant, and translates what the relay says.
func (do onQueue) handle(ctx context.Context, in json.RawMessage) (any, error) {
	var c admin.Change
	if err := admin.Decode(in, &c); err != nil {
		return nil, err
	}
	id, err := base64.RawURLEncoding.DecodeString(c.ID)
	kind, known := kinds[c.Kind]
	if err != nil || !known {
		return nil, admin.Refuse("the request has no id of a queue")
	}
	out, err := do(ctx, kind, id, c)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil, admin.ErrNotFound
	case errors.Is(err, server.ErrAmbiguous):
		return nil, admin.Refuse(server.ErrAmbiguous.Error() + ": say --as sender or --as link")
	case errors.Is(err, server.ErrBlocking):
		return nil, admin.Refuse(server.ErrBlocking.Error())
	case errors.Is(err, queue.ErrUnavailable):
		return nil, admin.Refuse("the database does not answer")
	}
	return out, err
}

// changed tells the log that the operator has changed something, not what.
func (a administered) changed(what string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	a.log.Info().Msg("admin: " + what)
	return admin.Done{Done: true}, nil
}

// queueStatus is what an operator may know of a queue.
type queueStatus struct {
	Mode       string    `json:"mode"`
	Status     string    `json:"status"`
	Reason     string    `json:"reason,omitempty"`
	Notice     bool      `json:"notice,omitempty"`
	TTL        int64     `json:"ttl,omitempty"`
	Secured    bool      `json:"secured"`
	Link       bool      `json:"link"`
	Notifier   bool      `json:"notifier"`
	Subscribed bool      `json:"subscribed"`
	Messages   int       `json:"messages"`
	LastUsed   time.Time `json:"lastUsed"` // the day
}

func (a administered) queueStatus(ctx context.Context, kind server.Kind, id []byte, _ admin.Change) (any, error) {
	q, err := a.relay.QueueStatus(ctx, kind, id)
	if err != nil {
		return nil, err
	}
	s := queueStatus{
		Mode: "not told", Status: "active", Secured: q.Secured, Link: q.HasLink, Notifier: q.HasNotifier,
		Subscribed: q.Subscribed, Messages: q.Entries, LastUsed: q.LastUsed,
	}
	switch q.Mode {
	case queue.ModeMessaging:
		s.Mode = "messaging"
	case queue.ModeContact:
		s.Mode = "contact"
	}
	switch q.Status {
	case queue.Off:
		s.Status = "off"
	case queue.Blocked:
		s.Status, s.Reason, s.Notice, s.TTL = "blocked", q.Blocking.Reason, q.Blocking.HasNotice, q.Blocking.NoticeTTL
	}
	return s, nil
}

// showQueue shows it to a person.
func showQueue(answer json.RawMessage) ([]admin.Section, error) {
	var s queueStatus
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, err
	}
	state := map[string]string{
		"active": "active", "off": "off: its owner takes no messages any more",
		"blocked": "blocked for " + s.Reason + admin.Notice(s.Notice, s.TTL),
	}[s.Status]
	use := map[string]string{"messaging": "a conversation", "contact": "an address, or a group's link"}[s.Mode]
	if use == "" {
		use = "not told: an old app has made it"
	}
	rows := []admin.Row{
		{Name: "status", Value: state, Bad: s.Status == "blocked"},
		{Name: "use", Value: use},
		{Name: "sender", Value: yes(s.Secured, "has a key: nobody else can send", "has no key: who knows the id can send")},
		{Name: "short link", Value: yes(s.Link, "has one", "none")},
		{Name: "notifications", Value: yes(s.Notifier, "on", "off")},
		{Name: "recipient", Value: yes(s.Subscribed, "connected", "not connected")},
		{Name: "messages", Value: admin.Number(s.Messages) + " waiting"},
		{Name: "last used", Value: s.LastUsed.UTC().Format(time.DateOnly)},
	}
	return []admin.Section{{Rows: rows}}, nil
}

func yes(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
