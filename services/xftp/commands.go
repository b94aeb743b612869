package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"sotto/services/xftp/internal/probe"
	"sotto/services/xftp/internal/store/pgstore"
	"sotto/shared/run"
	"sotto/shared/settings"
)

// migrate is the command migrate.
func migrate(ctx context.Context, w io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	if cfg.DatabaseURL == "" {
		return settings.Bad("XFTP_DATABASE_URL is not set: name the Postgres database to migrate")
	}
	from, to, err := pgstore.Migrate(ctx, cfg.DatabaseURL)
	if err != nil {
		return databaseError(err)
	}
	return run.Migrated(w, from, to)
}

// try is the command try.
func try(ctx context.Context, args []string, w io.Writer) error {
	relay, alpn, err := run.TryArgs("xftp", args)
	if err != nil {
		return err
	}
	if err := probe.Run(ctx, relay, alpn, w); err != nil {
		return errors.Join(run.ErrSaid, err)
	}
	return nil
}

// duration writes a time without the zeros that Go adds: 48h rather than 48h0m0s.
func duration(d time.Duration) string {
	text := d.String()
	if short, ok := strings.CutSuffix(text, "m0s"); ok {
		text = short + "m"
	}
	if short, ok := strings.CutSuffix(text, "h0m"); ok {
		text = short + "h"
	}
	return text
}
