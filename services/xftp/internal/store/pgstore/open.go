// Package pgstore keeps chunks and their bodies in Postgres: the storage of a file relay in production.
//
// One relay process at a time owns the database, so that what the store counts (usage.go) and knows of periods
// (periods.go) is kept in memory. A body is stored as pages (upload.go, copy.go) under a number of its own; the chunk
// names the number that won. Nothing holds a connection while a client is waited for.
package pgstore

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"sotto/services/xftp/internal/chunk"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

// Defaults of the fields of Options.
const (
	DefaultWait        = 10 * time.Second
	DefaultConnections = 8
)

// recordConnections are added to Options.Connections, so that commands never queue up behind pages of bodies.
const recordConnections = 4

// Options are what Open needs to know. Zero fields take the defaults.
type Options struct {
	// URL of the database, as in [pg.Options].
	URL string
	// Quota bounds the bodies, in bytes; 0: unlimited.
	Quota int64
	// TTL of chunks; 0: for ever. Spec: xftp.md 10.3.
	TTL time.Duration
	// Wait is how long an operation waits for a database that is away before it fails with chunk.ErrUnavailable.
	Wait time.Duration
	// Now is the clock by which chunks expire; nil: time.Now.
	Now func() time.Time
	// Connections bounds how many batches of pages are on their way to and from the database at once. A few more
	// connections carry everything else.
	Connections int
	// Measure is told what the database takes; nil: nobody is.
	Measure pg.Measure
	// Logger gets a line when the database goes away and another when it is back, never one for an operation.
	Logger zerolog.Logger
}

func (o Options) withDefaults() Options {
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if o.Connections <= 0 {
		o.Connections = DefaultConnections
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// settings of every connection. A commit is durable unless it says otherwise, whatever the server's default is; see
// poolConfig for what the URL may ask for instead. All statements look up rows by keys, so the plans that suit them
// are fixed here: statistics of a table that was empty a minute ago must not turn them into scans.
var settings = map[string]string{
	"enable_seqscan":    "off",
	"enable_bitmapscan": "off",
	"enable_hashjoin":   "off",
	"enable_mergejoin":  "off",
	"plan_cache_mode":   "force_generic_plan",
	"jit":               "off",

	commitSetting: "on",
}

// commitSetting names how durable a commit is. A standby's operator may want more than "on", nobody gets less.
const commitSetting = "synchronous_commit"

// Errors of Open.
var (
	// ErrInUse says that another relay process works on the database.
	ErrInUse = owner.ErrInUse
	// ErrNotDurable says that the database URL asks for commits that a crash can undo.
	ErrNotDurable = errors.New("the database URL sets synchronous_commit: only on and remote_apply keep what the relay has accepted")
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Store is a file relay's storage in Postgres. Its methods are safe for concurrent use.
type Store struct {
	options   Options
	log       zerolog.Logger
	pool      *pgxpool.Pool
	lock      *owner.Lock
	health    *pg.Health
	heard     atomic.Int64 // when the database answered last, in nanoseconds since the Unix epoch
	usage     usage
	periods   periods
	numbers   numbers
	ids       reservedIDs
	stripes   [changeStripes]chan struct{} // whose place serialises the changes of one chunk; index by stripe
	transfers chan struct{}                // a place for each batch of pages on its way

	gate    sync.RWMutex       // no goroutine starts while closing is set
	closing atomic.Bool        // set by Close; operations fail from then on
	ctx     context.Context    // of the background goroutines
	cancel  context.CancelFunc // ends ctx
	work    sync.WaitGroup     // the background goroutines
	once    sync.Once
}

// Errors that are chunk.ErrUnavailable with a reason.
var (
	errClosed = fmt.Errorf("store is closed: %w", chunk.ErrUnavailable)
	errTaken  = fmt.Errorf("%w: %w", owner.ErrTaken, chunk.ErrUnavailable)
)

// Open connects to the database, makes this process its owner, brings the schema up to date, removes what uploads left
// behind when a relay crashed, and counts what is stored. It fails if another process owns the database, or if the
// schema is newer than this program.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options:   o,
		log:       o.Logger,
		lock:      owner.New(config.ConnConfig.Copy(), o.Logger),
		health:    pg.NewHealth(o.Logger),
		transfers: make(chan struct{}, o.Connections),
	}
	for i := range s.stripes {
		s.stripes[i] = make(chan struct{}, 1)
	}
	s.ids.taken = make(map[chunk.ID]bool)
	s.periods.init(o.TTL)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.begin(ctx, config); err != nil {
		s.end()
		return nil, err
	}
	s.work.Go(func() { s.lock.Watch(s.ctx, o.Wait, s.health) })
	return s, nil
}

func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pg.Options{
		URL: o.URL, Name: "sotto-xftp", MaxConns: o.Connections + recordConnections, Settings: settings,
	}.Config()
	if err != nil {
		return nil, err
	}
	if v := config.ConnConfig.RuntimeParams[commitSetting]; v != "on" && v != "remote_apply" {
		return nil, ErrNotDurable
	}
	return config, nil
}

// begin takes the database and reads what has to be known of it.
func (s *Store) begin(ctx context.Context, config *pgxpool.Config) error {
	if err := s.lock.Own(ctx, s.migrate); err != nil {
		return err
	}
	config.AfterConnect = s.lock.Join
	var err error
	if s.pool, err = pgxpool.NewWithConfig(s.ctx, config); err != nil {
		return pg.Wrap("open database", err)
	}
	if err := s.clean(ctx); err != nil {
		return pg.Wrap("remove unfinished uploads", err)
	}
	if err := s.load(ctx); err != nil {
		return pg.Wrap("count what is stored", err)
	}
	_, err = s.period(ctx, s.options.Now().Unix())
	return err
}

func (s *Store) migrate(ctx context.Context, conn *pgx.Conn) error {
	from, to, err := migrate(ctx, conn)
	if err == nil && from != to {
		s.log.Info().Int("from", from).Int("to", to).Msg("schema migrated")
	}
	return err
}

// Migrate brings the schema of the database to the version that this program knows, and returns the versions it
// had before and has now.
func Migrate(ctx context.Context, url string) (from, to int, err error) {
	config, err := poolConfig(Options{URL: url})
	if err != nil {
		return 0, 0, err
	}
	conn, err := pg.Connect(ctx, config.ConnConfig)
	if err != nil {
		return 0, 0, err
	}
	defer pg.CloseConn(conn)
	return migrate(ctx, conn)
}

func migrate(ctx context.Context, conn *pgx.Conn) (from, to int, err error) {
	steps, err := pg.Migrations(migrationFiles, "migrations")
	if err != nil {
		return 0, 0, err
	}
	ran, err := pg.Migrate(ctx, conn, steps)
	if err != nil {
		return 0, 0, err
	}
	return len(steps) - len(ran), len(steps), nil
}

// Close waits for what is being stored and gives the database up. It is safe to call twice.
func (s *Store) Close() {
	s.once.Do(func() {
		s.gate.Lock()
		s.closing.Store(true)
		s.gate.Unlock()
		s.end()
	})
}

func (s *Store) end() {
	s.cancel()
	s.work.Wait()
	if s.pool != nil {
		s.pool.Close()
	}
	s.lock.Release()
}

// Lost is closed when another process has taken the database over. From then on every operation fails with
// chunk.ErrUnavailable; only a restart helps.
func (s *Store) Lost() <-chan struct{} { return s.lock.Lost() }

// usable returns an error when the store must not do any more work.
func (s *Store) usable() error {
	switch {
	case s.closing.Load():
		return errClosed
	case s.lock.Taken():
		return errTaken
	default:
		return nil
	}
}
