package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"sotto/services/xftp/internal/chunk"
	"sotto/services/xftp/internal/server"
	"sotto/shared/admin"
	"sotto/shared/settings"
)

// errFile is what a mistake in what was typed or pasted gets. It does not quote it.
var errFile = settings.Bad("this is no id of a chunk, which has 22 characters, no link to a file, and no name of a description")

// findFile reads an id, in base64 of both alphabets, with padding or without it; or the ids of all chunks that a link or a
// description names.
func findFile(text string) ([]admin.Subject, error) {
	plain := strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	if id, err := base64.RawURLEncoding.Strict().DecodeString(plain); err == nil && len(id) == chunk.IDSize {
		return []admin.Subject{{ID: plain}}, nil
	}
	d, err := described(text)
	if err != nil {
		return nil, errFile
	}
	var all []admin.Subject
	for _, c := range d.Chunks {
		for _, r := range c.Replicas {
			all = append(all, admin.Subject{ID: base64.RawURLEncoding.EncodeToString(r.ID), Host: string(r.Server.Hosts[0])})
		}
	}
	return all, nil
}

// onFile is what a command does to the chunk with an id.
type onFile func(ctx context.Context, id []byte, c admin.Change) (any, error)

// fileHandlers are the commands for a chunk.
func (a administered) fileHandlers(handlers map[string]admin.Handler) {
	for action, do := range map[string]onFile{
		"status": a.fileStatus,
		"block": func(ctx context.Context, id []byte, c admin.Change) (any, error) {
			return a.changed("a chunk was blocked", a.relay.Block(ctx, id, chunk.Blocking{
				Reason: c.Reason, HasNotice: c.Notice, NoticeTTL: c.TTL,
			}))
		},
		"unblock": func(ctx context.Context, id []byte, _ admin.Change) (any, error) {
			return a.changed("a chunk was unblocked", a.relay.Unblock(ctx, id))
		},
		"delete": func(ctx context.Context, id []byte, _ admin.Change) (any, error) {
			return a.changed("a chunk was deleted", a.relay.DeleteChunk(ctx, id))
		},
	} {
		handlers["file/"+action] = func(ctx context.Context, in json.RawMessage) (any, error) { return do.handle(ctx, in) }
	}
}

// handle reads which chunk is meant, and translates what the relay says.
func (do onFile) handle(ctx context.Context, in json.RawMessage) (any, error) {
	var c admin.Change
	if err := admin.Decode(in, &c); err != nil {
		return nil, err
	}
	id, err := base64.RawURLEncoding.DecodeString(c.ID)
	if err != nil || c.Kind != "" {
		return nil, admin.Refuse("the request has no id of a chunk")
	}
	out, err := do(ctx, id, c)
	switch {
	case errors.Is(err, chunk.ErrNotFound):
		return nil, admin.ErrNotFound
	case errors.Is(err, server.ErrBlocking):
		return nil, admin.Refuse(server.ErrBlocking.Error())
	case errors.Is(err, chunk.ErrUnavailable):
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

// fileStatus is what an operator may know of a chunk.
type fileStatus struct {
	Status   string    `json:"status"`
	Reason   string    `json:"reason,omitempty"`
	Notice   bool      `json:"notice,omitempty"`
	TTL      int64     `json:"ttl,omitempty"`
	Size     int64     `json:"bytes"`
	Uploaded bool      `json:"uploaded"`
	Created  time.Time `json:"created"` // the hour
	Expires  time.Time `json:"expires,omitzero"`
}

func (a administered) fileStatus(ctx context.Context, id []byte, _ admin.Change) (any, error) {
	c, err := a.relay.ChunkStatus(ctx, id)
	if err != nil {
		return nil, err
	}
	s := fileStatus{Status: "active", Size: int64(c.Size), Uploaded: c.Uploaded, Created: c.Created}
	if c.Blocked {
		s.Status, s.Reason, s.Notice, s.TTL = "blocked", c.Blocking.Reason, c.Blocking.HasNotice, c.Blocking.NoticeTTL
	}
	if a.cfg.FileTTL > 0 {
		s.Expires = c.Created.Add(a.cfg.FileTTL + chunk.Hour*time.Second)
	}
	return s, nil
}

// showFile shows it to a person.
func showFile(answer json.RawMessage) ([]admin.Section, error) {
	var s fileStatus
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, err
	}
	rows := []admin.Row{{Name: "status", Value: "active"}, {Name: "size", Value: admin.Size(s.Size)}}
	switch {
	case s.Status == "blocked":
		rows[0] = admin.Row{Name: "status", Value: "blocked for " + s.Reason + admin.Notice(s.Notice, s.TTL), Bad: true}
	case !s.Uploaded:
		rows[0].Value = "registered, not uploaded"
	}
	rows = append(rows, admin.Row{Name: "created", Value: s.Created.Local().Format("2006-01-02 15:00") + ", in this hour"})
	if !s.Expires.IsZero() {
		rows = append(rows, admin.Row{Name: "expires", Value: s.Expires.Local().Format("2006-01-02 15:04")})
	}
	return []admin.Section{{Rows: rows}}, nil
}
