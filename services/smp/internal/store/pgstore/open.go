// Package pgstore keeps queues and messages in Postgres: the storage of a relay in production.
//
// What is durable is in the database, and one relay process at a time owns it ([owner.Lock]). In memory the store keeps,
// all of it bounded: recently used records (cache.go), the state of recently used queues (state.go) and, within a
// budget of bytes, messages that are likely to be asked for next. Appends and acknowledgements of many connections
// are committed in groups (append.go, acknowledge.go).
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

	"sotto/services/smp/internal/queue"
	"sotto/shared/pg"
	"sotto/shared/pg/owner"
)

// Defaults of the fields of Options.
const (
	DefaultQuota       = 128
	DefaultWait        = 10 * time.Second
	DefaultConnections = 8
	DefaultRecords     = 1 << 16
	DefaultStates      = 1 << 16
	DefaultCachedBytes = 64 << 20
)

// Options are what Open needs to know. Zero fields take the defaults.
type Options struct {
	// URL of the database, as in [pg.Options].
	URL string
	// Quota is how many messages a queue holds, not counting the quota marker. Spec: smp.md 8.4.
	Quota int
	// Wait is how long an operation waits for a database that is away before it fails with
	// queue.ErrUnavailable. An operation that is on its way when the database goes may take twice as long.
	Wait time.Duration
	// Connections bounds the pool for everything but group commits, which have connections of their own.
	Connections int
	// Records and States bound how many queue records and queue states are kept in memory, at about 1 KB and 300
	// bytes each.
	Records, States int
	// CachedBytes bounds the messages kept in memory for delivery.
	CachedBytes int64
	// VacuumAfter is how many removed messages make a vacuum worth while; see vacuum.go.
	VacuumAfter int64
	// Measure is told what the database takes; nil: nobody is.
	Measure pg.Measure
	// Logger gets a line when the database goes away and another when it is back, never one for an operation.
	Logger zerolog.Logger
}

func (o Options) withDefaults() Options {
	def := func(field *int, value int) {
		if *field <= 0 {
			*field = value
		}
	}
	def(&o.Quota, DefaultQuota)
	def(&o.Connections, DefaultConnections)
	def(&o.Records, DefaultRecords)
	def(&o.States, DefaultStates)
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if o.CachedBytes <= 0 {
		o.CachedBytes = DefaultCachedBytes
	}
	if o.VacuumAfter <= 0 {
		o.VacuumAfter = vacuumAfter
	}
	return o
}

// settings of every connection. A commit is durable whatever the server's default is; see poolConfig for what the URL
// may ask for instead. All statements look up rows by keys, so the plans that suit them are fixed here:
// statistics of a table that was empty a minute ago must not turn them into scans.
var settings = map[string]string{
	"enable_seqscan":   "off",
	"enable_hashjoin":  "off",
	"enable_mergejoin": "off",
	"plan_cache_mode":  "force_generic_plan",
	"jit":              "off",

	commitSetting: "on",
}

// commitSetting names how durable a commit is. A standby's operator may want more than "on", nobody gets less.
const commitSetting = "synchronous_commit"

// ErrNotDurable says that the database URL asks for commits that a crash can undo.
var ErrNotDurable = errors.New("the database URL sets synchronous_commit: only on and remote_apply keep what the relay has accepted")

// ErrInUse says that another relay process works on the database.
var ErrInUse = owner.ErrInUse

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Store is a relay's storage in Postgres. Its methods are safe for concurrent use.
type Store struct {
	options      Options
	log          zerolog.Logger
	pool         *pgxpool.Pool
	dial         *pgx.ConnConfig
	lock         *owner.Lock
	health       *pg.Health
	records      *records
	touches      touches
	associations chan struct{}                // whose place serialises Associate
	changes      [changeStripes]chan struct{} // whose place serialises the changes of one record; index by stripe

	mu       sync.Mutex // guards states and the lists of appenders and remover; never held over a round trip
	states   states
	appender [appenders]*appender
	remover  *remover

	count   atomic.Int64       // queues
	removed atomic.Int64       // messages removed since the last vacuum
	closing atomic.Bool        // set by Close; operations fail from then on
	ctx     context.Context    // of the background goroutines
	cancel  context.CancelFunc // ends ctx
	writers sync.WaitGroup     // the goroutines of appenders and remover
	tenders sync.WaitGroup     // the other background goroutines
	once    sync.Once
}

// errClosed is the reason for queue.ErrUnavailable after Close.
var errClosed = fmt.Errorf("store is closed: %w", queue.ErrUnavailable)

// Open connects to the database, makes this process its owner, brings the schema up to date and starts the
// store's background work. It fails if another process owns the database, or if the schema is newer than this
// program.
func Open(ctx context.Context, o Options) (*Store, error) {
	o = o.withDefaults()
	config, err := poolConfig(o)
	if err != nil {
		return nil, err
	}
	s := &Store{
		options:      o,
		log:          o.Logger,
		dial:         config.ConnConfig.Copy(),
		records:      newRecords(o.Records),
		associations: make(chan struct{}, 1),
	}
	for i := range s.changes {
		s.changes[i] = make(chan struct{}, 1)
	}
	s.health = pg.NewHealth(o.Logger)
	s.states.init(o.States, o.CachedBytes)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.lock = owner.New(s.dial, o.Logger)
	if err := s.lock.Own(ctx, s.migrate); err != nil {
		s.cancel()
		s.lock.Release()
		return nil, err
	}
	config.AfterConnect = s.lock.Join
	if s.pool, err = pgxpool.NewWithConfig(s.ctx, config); err != nil {
		s.cancel()
		s.lock.Release()
		return nil, pg.Wrap("open database", err)
	}
	s.start()
	return s, nil
}

func poolConfig(o Options) (*pgxpool.Config, error) {
	config, err := pg.Options{URL: o.URL, Name: "sotto-smp", MaxConns: o.Connections, Settings: settings}.Config()
	if err != nil {
		return nil, err
	}
	if v := config.ConnConfig.RuntimeParams[commitSetting]; v != "on" && v != "remote_apply" {
		return nil, ErrNotDurable
	}
	return config, nil
}

// migrate brings the schema up to date, before the ownership begins.
func (s *Store) migrate(ctx context.Context, conn *pgx.Conn) error {
	from, to, err := migrate(ctx, conn)
	if err == nil && from != to {
		s.log.Info().Int("from", from).Int("to", to).Msg("schema migrated")
	}
	if err != nil {
		return err
	}
	var queues int64
	err = conn.QueryRow(ctx, countQueues).Scan(&queues)
	s.count.Store(queues)
	return pg.Wrap("count queues", err)
}

func (s *Store) start() {
	for i := range s.appender {
		s.appender[i] = newAppender(s, i)
	}
	s.remover = newRemover(s)
	for _, a := range s.appender {
		s.writers.Go(a.run)
	}
	s.writers.Go(s.remover.run)
	for _, tend := range []func(){s.sweep, s.watch, s.flushTouches, s.vacuum} {
		s.tenders.Go(tend)
	}
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

// Close finishes what was accepted, stores the days of Touch and gives the database up. It is safe to call twice.
func (s *Store) Close() {
	s.once.Do(func() {
		s.closing.Store(true)
		for _, a := range s.appender {
			wake(a.wake)
		}
		wake(s.remover.wake)
		s.writers.Wait()
		s.cancel()
		s.tenders.Wait()
		s.pool.Close()
		s.lock.Release()
	})
}

// Lost is closed when another process has taken the database over. From then on every operation fails with
// queue.ErrUnavailable; only a restart helps.
func (s *Store) Lost() <-chan struct{} { return s.lock.Lost() }

// watch notices the loss of the database also when nothing happens.
func (s *Store) watch() { s.lock.Watch(s.ctx, s.options.Wait, s.health) }

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

// outcome reports whether err is an answer rather than trouble.
func outcome(err error) bool {
	return errors.Is(err, queue.ErrNotFound) || errors.Is(err, queue.ErrExists) || errors.Is(err, queue.ErrSecured) ||
		errors.Is(err, queue.ErrFull)
}

// wake makes the goroutine that waits on c look again.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
