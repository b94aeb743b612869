package main

import (
	"context"
	"errors"
	"io"

	"sotto/services/smp/internal/probe"
	"sotto/services/smp/internal/store/pgstore"
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
		return settings.Bad("SMP_DATABASE_URL is not set: name the Postgres database to migrate")
	}
	from, to, err := pgstore.Migrate(ctx, cfg.DatabaseURL)
	if err != nil {
		return databaseError(err)
	}
	return run.Migrated(w, from, to)
}

// try is the command try.
func try(ctx context.Context, args []string, w io.Writer) error {
	relay, alpn, err := run.TryArgs("smp", args)
	if err != nil {
		return err
	}
	if err := probe.Run(ctx, relay, alpn, w); err != nil {
		return errors.Join(run.ErrSaid, err)
	}
	return nil
}
