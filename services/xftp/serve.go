package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/server"
	"sotto/services/xftp/internal/store/pgstore"
	"sotto/shared/logging"
	"sotto/shared/metrics"
	"sotto/shared/pg"
	"sotto/shared/run"
	"sotto/shared/settings"
	"sotto/shared/site"
)

// errDatabaseLost ends a relay whose database another one has taken: what it has in memory is out of date.
var errDatabaseLost = errors.New("another relay has taken the database")

// serve runs the relay until ctx ends: settings, certificates, listeners, store, then clients.
func serve(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	started, recent := time.Now(), new(logging.Recent)
	log, err := recent.Logger(stderr, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return settings.Bad("XFTP_LOG_LEVEL: %v", err)
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
	port, err := metrics.Open(ctx, "XFTP_METRICS_LISTEN", cfg.MetricsListen, registry, ready, log)
	if err != nil {
		return err
	}
	defer port.Close()
	limits := cfg.limits()
	listeners, err := run.ListenBehind(ctx, cfg.ProxyProtocol, "XFTP_LISTEN", cfg.Listen, limits)
	if err != nil {
		return err
	}
	defer listeners.Close()
	inner, err := cfg.listenInner(ctx, limits)
	if err != nil {
		return err
	}
	defer inner.Close()
	pages, err := cfg.openSite(ctx, advertised.Public(id), log)
	if err != nil {
		return err
	}
	defer pages.Close()
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
	behaviour := cfg.server()
	behaviour.Pages, behaviour.Challenge = pages.Pages, pages.Challenge
	relay := server.New(behaviour, id, forBrowsers(pages), store, log)
	run.Announcement{
		Name: "xftp", Version: version, Advertised: advertised, Identity: id, Made: made, Setting: "XFTP_HOST",
		Code: cfg.LogFormat == "text",
		Lines: append([][2]string{
			{"storage", "postgres, " + pg.Describe(cfg.DatabaseURL)},
			{"room", room(cfg, store.Usage())},
			{"listening", listeners.String()},
			{"certificate", pages.State()},
			{"new files", run.Who(cfg.NewFiles, "XFTP_NEW_FILES", cfg.CreatePassword)},
		}, port.Lines()...),
	}.Print(stdout)
	measured{
		relay: relay, store: store, identity: id, pages: pages, listeners: append(listeners, inner...), names: cfg.MetricsNames,
	}.register(registry)
	pages.Start(ctx)
	parts := socket.Parts(pages.Parts(), administered{
		started: started, cfg: cfg, relay: relay, store: store, identity: id, pages: pages, recent: recent, log: log,
	}.handlers(), pg.Safe, log)
	return run.Program{
		Relay: relay, Listeners: append(listeners, inner...), Parts: parts, Lost: store.Lost(), ErrLost: errDatabaseLost,
		Readiness: ready, Log: log,
	}.Serve(ctx)
}

// forBrowsers chooses the certificate that browsers are shown.
func forBrowsers(s *site.Site) func(*tls.ClientHelloInfo) *tls.Certificate {
	return func(hello *tls.ClientHelloInfo) *tls.Certificate {
		cert, err := s.Certificate(hello)
		if err != nil {
			return nil
		}
		return cert
	}
}

// room tells what is used of the quota, and for how long chunks are kept.
func room(cfg *Config, used server.Usage) string {
	text := settings.Size(used.Bytes).String() + " used of "
	switch {
	case cfg.StorageQuota == 0:
		text += "what the disk has (XFTP_STORAGE_QUOTA=0)"
	case used.Bytes > used.Quota:
		text += settings.Size(used.Quota).String() + ": uploads are refused until there is less (XFTP_STORAGE_QUOTA)"
	default:
		text += settings.Size(used.Quota).String()
	}
	if cfg.FileTTL == 0 {
		return text + ", kept for ever"
	}
	return text + ", kept for " + duration(cfg.FileTTL)
}

// openStore connects to Postgres and brings the schema up to date.
func openStore(ctx context.Context, cfg *Config, measure pg.Measure, log zerolog.Logger) (*pgstore.Store, error) {
	if cfg.DatabaseURL == "" {
		return nil, settings.Bad("XFTP_DATABASE_URL is not set: name a Postgres database, such as " +
			"postgres://user:password@host/name (`make run` starts one of its own)")
	}
	store, err := pgstore.Open(ctx, pgstore.Options{
		URL: cfg.DatabaseURL, Quota: int64(cfg.StorageQuota), TTL: cfg.FileTTL, Wait: cfg.StoreTimeout, Measure: measure, Logger: log,
	})
	return store, databaseError(err)
}

// databaseError names the setting when it is the setting that is wrong.
func databaseError(err error) error {
	for _, known := range []error{pg.ErrURL, pgstore.ErrNotDurable} {
		if errors.Is(err, known) {
			return settings.Bad("XFTP_DATABASE_URL: %v", known)
		}
	}
	return err
}
