package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/logging"
	"sotto/shared/metrics"
	"sotto/shared/pg"
	"sotto/shared/run"
	"sotto/shared/settings"
)

// errDatabaseLost ends a relay whose database another one has taken: what it has in memory is out of date.
var errDatabaseLost = errors.New("another relay has taken the database")

// serve runs the relay until ctx ends: settings, identity, listeners, store, then clients.
func serve(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	started, recent := time.Now(), new(logging.Recent)
	log, err := recent.Logger(stderr, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return settings.Bad("SMP_LOG_LEVEL: %v", err)
	}
	advertised, err := cfg.advertised()
	if err != nil {
		return err
	}
	id, made, err := advertised.LoadOrCreate()
	if err != nil {
		return err
	}
	registry, ready := metrics.New(service, version), new(metrics.Ready)
	registry.Ready(service, ready)
	port, err := metrics.Open(ctx, "SMP_METRICS_LISTEN", cfg.MetricsListen, registry, ready, log)
	if err != nil {
		return err
	}
	defer port.Close()
	limits := cfg.limits()
	listeners, err := run.ListenBehind(ctx, cfg.ProxyProtocol, "SMP_LISTEN", cfg.Listen, limits)
	if err != nil {
		return err
	}
	defer listeners.Close()
	front, err := cfg.openFront(ctx, advertised.Public(id), id, limits, log)
	if err != nil {
		return err
	}
	defer front.close()
	socket, err := cfg.adminPlace().Listen(log)
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()
	store, err := openStore(ctx, cfg, registry.Store(service), log)
	if err != nil {
		return err
	}
	defer store.Close()
	ready.Database(store.Ping)
	relays, err := cfg.proxy(log)
	if err != nil {
		return err
	}
	if relays != nil {
		defer relays.Close()
	}
	relay := server.New(cfg.server(relays), id, store, log)
	run.Announcement{
		Name: "smp", Version: version, Advertised: advertised, Identity: id, Made: made, Setting: "SMP_HOST",
		Code: cfg.LogFormat == "text",
		Lines: append([][2]string{
			{"storage", "postgres, " + pg.Describe(cfg.DatabaseURL)},
			{"listening", listeners.String()},
			{"new queues", run.Who(cfg.NewQueues, "SMP_NEW_QUEUES", cfg.CreatePassword)},
		}, slices.Concat(port.Lines(), front.lines(cfg))...),
	}.Print(stdout)
	measured{
		relay: relay, store: store, identity: id, front: front, relays: relays, listeners: listeners, names: cfg.MetricsNames,
	}.register(registry)
	program := run.Program{
		Relay: relay, Listeners: listeners, Lost: store.Lost(), ErrLost: errDatabaseLost, Readiness: ready, Log: log,
	}
	front.serve(ctx, &program)
	program.Parts = socket.Parts(program.Parts, administered{
		started: started, cfg: cfg, relay: relay, store: store, identity: id, front: front, relays: relays, recent: recent, log: log,
	}.handlers(), pg.Safe, log)
	return program.Serve(ctx)
}

// openStore connects to Postgres and brings the schema up to date.
func openStore(ctx context.Context, cfg *Config, measure pg.Measure, log zerolog.Logger) (*pgstore.Store, error) {
	if cfg.DatabaseURL == "" {
		return nil, settings.Bad("SMP_DATABASE_URL is not set: name a Postgres database, such as " +
			"postgres://user:password@host/name (`make run` starts one of its own)")
	}
	store, err := pgstore.Open(ctx, pgstore.Options{
		URL: cfg.DatabaseURL, Quota: cfg.QueueQuota, Wait: cfg.StoreTimeout, Measure: measure, Logger: log,
	})
	return store, databaseError(err)
}

// databaseError names the setting when it is the setting that is wrong.
func databaseError(err error) error {
	for _, known := range []error{pg.ErrURL, pgstore.ErrNotDurable} {
		if errors.Is(err, known) {
			return settings.Bad("SMP_DATABASE_URL: %v", known)
		}
	}
	return err
}
