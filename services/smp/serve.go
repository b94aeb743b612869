package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"sotto/services/smp/internal/server"
	"sotto/services/smp/internal/store/pgstore"
	"sotto/shared/identity"
	"sotto/shared/logging"
	"sotto/shared/pg"
	"sotto/shared/settings"
	"sotto/shared/terminal"
	"sotto/shared/transport"
)

// drainTime is how long connections may take to finish what is at hand when the relay stops.
const drainTime = 8 * time.Second

// errDatabaseLost ends a relay whose database another one has taken: what it has in memory is out of date.
var errDatabaseLost = errors.New("another relay has taken the database")

// serve runs the relay until ctx ends: settings, identity, listeners, store, then clients.
func serve(ctx context.Context, stdout, stderr io.Writer) error {
	cfg, err := LoadConfig()
	if err != nil {
		return err
	}
	log, err := logging.New(stderr, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return settings.Bad("SMP_LOG_LEVEL: %v", err)
	}
	id, made, err := loadOrCreateIdentity(cfg)
	if err != nil {
		return err
	}
	listeners, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeAll(listeners)
	store, err := openStore(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer store.Close()
	relay := server.New(cfg.server(), id, store, log)
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		go func() { failed <- relay.Serve(ln) }()
	}
	announce(stdout, cfg, id, made, listeners)
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-store.Lost():
		err = errDatabaseLost
	}
	closeAll(listeners)
	return errors.Join(err, drain(relay, log))
}

// drain lets connections finish, within bounds.
func drain(relay *server.Server, log zerolog.Logger) error {
	log.Info().Int("connections", relay.Connections()).Msg("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if err := relay.Shutdown(ctx); err != nil {
		log.Warn().Msg("some connections did not finish in time and were cut off")
	}
	log.Info().Msg("stopped")
	return nil
}

// openStore connects to Postgres and brings the schema up to date.
func openStore(ctx context.Context, cfg *Config, log zerolog.Logger) (*pgstore.Store, error) {
	if cfg.DatabaseURL == "" {
		return nil, settings.Bad("SMP_DATABASE_URL is not set: name a Postgres database, such as " +
			"postgres://user:password@host/name (`make run` starts one of its own)")
	}
	store, err := pgstore.Open(ctx, pgstore.Options{URL: cfg.DatabaseURL, Quota: cfg.QueueQuota, Wait: cfg.StoreTimeout, Logger: log})
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

// listen opens all listeners before anything else is started, so that a port in use is said at once.
func listen(ctx context.Context, cfg *Config) ([]net.Listener, error) {
	var all []net.Listener
	limits := transport.Limits{Connections: cfg.MaxConnections, Handshakes: cfg.MaxHandshakes}
	for _, address := range cfg.Listen {
		ln, err := transport.Listen(ctx, strings.TrimSpace(address), limits)
		if err != nil {
			closeAll(all)
			return nil, settings.Bad("SMP_LISTEN: cannot listen on %s: %v", strings.TrimSpace(address), errors.Unwrap(err))
		}
		all = append(all, ln)
	}
	return all, nil
}

func closeAll(listeners []net.Listener) {
	for _, ln := range listeners {
		_ = ln.Close()
	}
}

// loadOrCreateIdentity takes the identity from the files that the settings name, or from the data directory.
func loadOrCreateIdentity(cfg *Config) (*identity.Identity, bool, error) {
	s, err := cfg.Hosts()
	if err != nil {
		return nil, false, err
	}
	return cfg.identity().LoadOrCreate(string(s.Hosts[0]))
}

// announce tells the operator what runs, in few lines.
func announce(w io.Writer, cfg *Config, id *identity.Identity, made bool, listeners []net.Listener) {
	keys := cfg.identity().Where()
	if made {
		keys += " (new: back it up, it is the relay's address)"
	}
	var on []string
	for _, ln := range listeners {
		on = append(on, ln.Addr().String())
	}
	queues := "anyone"
	switch {
	case !cfg.NewQueues:
		queues = "nobody (SMP_NEW_QUEUES=false)"
	case cfg.CreatePassword != "":
		queues = "those who know the password"
	}
	s := addressText(cfg, id, terminal.Is(w))
	fmt.Fprintf(w, "smp %s\n", version)
	fmt.Fprintf(w, "  identity     %s\n", keys)
	fmt.Fprintf(w, "  storage      postgres, %s\n", pg.Describe(cfg.DatabaseURL))
	fmt.Fprintf(w, "  listening    %s\n", strings.Join(on, ", "))
	fmt.Fprintf(w, "  new queues   %s\n", queues)
	fmt.Fprintf(w, "  address      %s\n", s)
	if cfg.CreatePassword != "" && !terminal.Is(w) {
		fmt.Fprintf(w, "               (the password is left out here; `smp address` prints it)\n")
	}
}
