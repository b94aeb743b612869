package main

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/pgstore"
	"sotto/shared/admin"
	"sotto/shared/identity"
	"sotto/shared/logging"
	"sotto/shared/pg"
	"sotto/shared/site"
)

const adminUsage = `xftp admin looks at the running relay, and acts on abuse. Run it where the relay runs, as its user.

Usage: xftp admin [-o json] COMMAND

  status          how the relay is, on one screen
  stats           what it has counted since its start
  file FILE       what the relay knows of a file. FILE is a link, or the name of a
                  description, for all chunks that it names; or a recipient or
                  sender id, for one. "-" reads it from the standard input, which
                  no list of processes shows
  file FILE block remove the bytes, and tell clients why
                    --reason spam|content  what apps show as the reason (spam)
                    --notice [TIME]        with a notice, of use for a time such
                                           as 12h or 30d, or for ever
  file FILE unblock
                  let its sender upload it again
  file FILE delete
                    --yes          do not ask

  -o json         for programs; text is for people
`

// adminCommand is the command admin.
func adminCommand(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	return admin.Command{
		Program: "xftp", Object: "file", Usage: adminUsage, Find: findFile,
		Socket: func() (string, error) {
			cfg, err := LoadConfig()
			if err != nil {
				return "", err
			}
			return cfg.adminPlace().Reach()
		},
		Status: showStatus, Stats: admin.ShowStats, About: showFile,
		Said: map[string]string{
			"block":   "Blocked, and the bytes are deleted.",
			"unblock": "Not blocked. The bytes of what was blocked are gone: the sender can upload it again.",
			"delete":  "Deleted.",
		},
	}.Main(ctx, args, stdout, stderr)
}

// adminPlace is where the relay takes admin commands.
func (c *Config) adminPlace() admin.Place {
	return admin.Place{Setting: "XFTP_ADMIN_SOCKET", Value: c.AdminSocket, DataDir: c.DataDir, Program: "xftp"}
}

// administered is what admin commands look at and change.
type administered struct {
	started  time.Time
	cfg      *Config
	relay    *server.Server
	store    *pgstore.Store
	identity *identity.Identity
	pages    *site.Site
	recent   *logging.Recent
	log      zerolog.Logger
}

// handlers are the commands.
func (a administered) handlers() map[string]admin.Handler {
	handlers := map[string]admin.Handler{
		"status": func(ctx context.Context, _ json.RawMessage) (any, error) { return a.status(ctx), nil },
		"stats":  func(context.Context, json.RawMessage) (any, error) { return a.stats(), nil },
	}
	a.fileHandlers(handlers)
	return handlers
}

// status is what the command of this name tells.
type status struct {
	admin.Common
	Connections    int    `json:"connections"`
	MaxConnections int    `json:"maxConnections"` // of each listener
	Transfers      int    `json:"transfers"`
	MaxTransfers   int    `json:"maxTransfers"`
	Chunks         int64  `json:"chunks"`
	Bytes          int64  `json:"chunkBytes"`
	Quota          int64  `json:"quotaBytes"`     // 0: none
	Uploaded       uint64 `json:"chunksUploaded"` // this and the following since the start
	Downloaded     uint64 `json:"chunksDownloaded"`
	Handshakes     uint64 `json:"handshakes"`
	Failed         uint64 `json:"handshakesFailed"`
}

func (a administered) status(ctx context.Context) status {
	n := a.relay.Snapshot()
	return status{
		Common: admin.Common{
			Program: "xftp", Version: version, Started: a.started, Now: time.Now(), Identity: a.identity.Expires(),
			Database:     admin.Ask(ctx, pg.Describe(a.cfg.DatabaseURL), a.store),
			Certificates: admin.Certificates(a.pages.Certificates()), Troubles: a.recent.Entries(),
		},
		Connections: n.Connections, MaxConnections: a.cfg.MaxConnections,
		Transfers: n.Transfers, MaxTransfers: a.cfg.MaxTransfers,
		Chunks: n.Usage.Chunks, Bytes: n.Usage.Bytes, Quota: n.Usage.Quota, Uploaded: n.ChunksUploaded, Downloaded: n.Downloads,
		Handshakes: n.TLSDone, Failed: n.TLSFailed + n.HelloRefused,
	}
}

// stats are the relay's counters.
func (a administered) stats() admin.Stats {
	return admin.Stats{
		Program: "xftp", Started: a.started, Now: time.Now(),
		Counters: admin.Counters(a.relay.Snapshot().Counts, server.Tags[:], server.Outcomes[:]),
	}
}

// nearlyFull is the part of the quota, in percent, from which the operator should know.
const nearlyFull = 90

// showStatus shows a status to a person.
func showStatus(answer json.RawMessage) ([]admin.Section, error) {
	var s status
	if err := json.Unmarshal(answer, &s); err != nil {
		return nil, err
	}
	room := admin.Row{Name: "room", Value: admin.Size(s.Bytes) + " used, without a quota"}
	if s.Quota > 0 {
		percent := s.Bytes * 100 / s.Quota
		room.Value = admin.Size(s.Bytes) + " used of " + admin.Size(s.Quota) + ", " + admin.Number(percent) + " %"
		room.Bad = percent >= nearlyFull
	}
	rows := []admin.Row{
		{Name: "connections", Value: admin.Number(s.Connections) + " of " + admin.Number(s.MaxConnections) + " at each port; " +
			admin.Number(s.Handshakes) + " came so far, " + admin.Number(s.Failed) + " failed"},
		{Name: "transfers", Value: admin.Number(s.Transfers) + " of " + admin.Number(s.MaxTransfers) + " at a time"},
		{Name: "chunks", Value: admin.Number(s.Chunks) + " stored; " + admin.Number(s.Uploaded) + " uploaded so far, " +
			admin.Number(s.Downloaded) + " downloaded"},
		room,
	}
	return []admin.Section{{Title: s.Title(), Rows: append(rows, s.Rows()...)}, s.Trouble()}, nil
}
