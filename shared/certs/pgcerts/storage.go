// Package pgcerts keeps certificates in Postgres, for relays and instances that share them and answer for each other: it is
// certmagic's storage. All of it is in a schema of its own, so that a relay's database can hold it too.
package pgcerts

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/caddyserver/certmagic"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/rs/zerolog"

	"sotto/shared/pg"
)

// schema is where the tables are.
const schema = "certificates"

// waitTime bounds an operation. Certificates can wait: who has work to do with them tries again.
const waitTime = 15 * time.Second

const (
	// connections are enough for a relay's one or two names.
	connections = 4
	// maxName and maxContent bound a file. A chain of certificates has some KB.
	maxName    = 1000
	maxContent = 1 << 20
	// maxListed bounds a list: a relay has about ten files a host name.
	maxListed = 10_000
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// Options say where certificates are kept.
type Options struct {
	// URL of the database, as in [pg.Options].
	URL string
	// Log gets a line when the tables are made.
	Log zerolog.Logger
}

// Storage is certmagic's storage in Postgres. Its methods are safe for concurrent use; their errors quote neither names nor
// contents.
type Storage struct {
	pool *pgxpool.Pool
	log  zerolog.Logger

	closing context.Context // ends with Close
	end     context.CancelFunc

	migrating chan struct{} // has room for the one that makes the tables
	migrated  bool          // of who is in migrating

	mu   sync.Mutex        // guards what follows; nobody waits for the database meanwhile
	held map[string]*lease // locks that this storage holds, by name
}

var (
	_ certmagic.Storage          = (*Storage)(nil)
	_ certmagic.TryLocker        = (*Storage)(nil)
	_ certmagic.LockLeaseRenewer = (*Storage)(nil)
)

// Open returns a storage. A database that is away is not an error here: the tables are made when it is first needed. The
// error is [pg.ErrURL].
func Open(ctx context.Context, o Options) (*Storage, error) {
	pool, err := pg.Open(ctx, pg.Options{
		URL: o.URL, Name: "sotto certificates", MaxConns: connections,
		Settings: map[string]string{"search_path": schema, "synchronous_commit": "on"},
	})
	if err != nil {
		return nil, err
	}
	s := &Storage{pool: pool, log: o.Log, migrating: make(chan struct{}, 1), held: make(map[string]*lease)}
	s.closing, s.end = context.WithCancel(context.Background())
	return s, nil
}

// Close gives up the locks, and closes the connections. It may be called more than once.
func (s *Storage) Close() {
	s.giveUp()
	s.end() // the pool waits for those who are at work
	s.pool.Close()
}

// ready makes the tables, once. Who waits for somebody else that does waits no longer than ctx.
func (s *Storage) ready(ctx context.Context) error {
	select {
	case s.migrating <- struct{}{}:
		defer func() { <-s.migrating }()
	case <-ctx.Done():
		return pg.Wrap("wait for the tables for certificates", ctx.Err())
	}
	if s.migrated {
		return nil
	}
	steps, err := pg.Migrations(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return pg.Wrap("connect to the database of certificates", err)
	}
	defer conn.Release()
	if err := makeSchema(ctx, conn.Conn()); err != nil {
		return err
	}
	ran, err := pg.Migrate(ctx, conn.Conn(), steps)
	if err != nil {
		return err
	}
	if len(ran) > 0 {
		s.log.Info().Int("version", len(steps)).Msg("made the tables for certificates")
	}
	s.migrated = true
	return nil
}

// makeSchema makes the schema, unless it is there. Asking first keeps notices out of the server's log, and lets a role do
// without the right to make one.
func makeSchema(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	err := conn.QueryRow(ctx, "SELECT to_regnamespace($1) IS NOT NULL", schema).Scan(&exists)
	if err == nil && !exists {
		_, err = conn.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema)
		if pg.Code(err) == pg.UniqueViolation { // two at the same time
			err = nil
		}
	}
	return pg.Wrap("make the schema for certificates", err)
}

// do runs an operation on tables that are there, within bounds.
func (s *Storage) do(ctx context.Context, name string, run func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime)
	defer cancel()
	defer context.AfterFunc(s.closing, cancel)()
	if err := s.ready(ctx); err != nil {
		return err
	}
	err := run(ctx)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotHeld) || errors.Is(err, errTooMany) {
		return err
	}
	return pg.Wrap(name, err)
}

// Errors of what a relay never does.
var (
	errName    = errors.New("a certificate's file has a name that is empty, too long or not text")
	errContent = errors.New("a certificate's file is too large")
	errTooMany = errors.New("there are too many files of certificates to list")
)

// check returns the form of a name that is stored, or errName.
func check(name string) (string, error) {
	name = clean(name)
	if name == "" || len(name) > maxName || !utf8.ValidString(name) || strings.ContainsRune(name, 0) {
		return "", errName
	}
	return name, nil
}

// clean is the form of a name that is stored.
func clean(name string) string { return strings.Trim(name, "/") }

// below is the beginning of the names that lie below a name; everything lies below the empty one.
func below(name string) string {
	if name = clean(name); name != "" {
		name += "/"
	}
	return name
}

// Store puts a value at a key.
func (s *Storage) Store(ctx context.Context, key string, value []byte) error {
	key, err := check(key)
	if err != nil {
		return err
	}
	if len(value) > maxContent {
		return errContent
	}
	if value == nil {
		value = []byte{} // no value is not NULL
	}
	return s.do(ctx, "store a certificate's file", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `INSERT INTO files (name, content) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET content = excluded.content, modified = now()`, key, value)
		return err
	})
}

// Load returns the value at a key, or [fs.ErrNotExist].
func (s *Storage) Load(ctx context.Context, key string) (value []byte, err error) {
	if key, err = check(key); err != nil {
		return nil, err
	}
	err = s.do(ctx, "load a certificate's file", func(ctx context.Context) error {
		return missing(s.pool.QueryRow(ctx, "SELECT content FROM files WHERE name = $1", key).Scan(&value))
	})
	return value, err
}

// missing makes [fs.ErrNotExist] of what Postgres says when there is no row.
func missing(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fs.ErrNotExist
	}
	return err
}

// Delete removes a key, and those below it. One that is not there is not an error.
func (s *Storage) Delete(ctx context.Context, key string) error {
	key, err := check(key) // or everything would be deleted
	if err != nil {
		return err
	}
	return s.do(ctx, "delete a certificate's file", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, "DELETE FROM files WHERE name = $1 OR starts_with(name, $2)", key, below(key))
		return err
	})
}

// Exists reports whether there is something at a key or below it.
func (s *Storage) Exists(ctx context.Context, key string) bool {
	key, err := check(key)
	if err != nil {
		return false
	}
	var exists bool
	err = s.do(ctx, "look for a certificate's file", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM files WHERE name = $1 OR starts_with(name, $2))",
			key, below(key)).Scan(&exists)
	})
	return err == nil && exists
}

// List returns the keys below a path: all, or with recursive false only what lies directly below. The error is
// [fs.ErrNotExist] if there is nothing.
func (s *Storage) List(ctx context.Context, path string, recursive bool) (keys []string, err error) {
	prefix := below(path)
	err = s.do(ctx, "list certificates' files", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, "SELECT name FROM files WHERE starts_with(name, $1) ORDER BY name LIMIT $2", prefix, maxListed+1)
		if err != nil {
			return err
		}
		keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
		if err == nil && len(keys) == 0 {
			return fs.ErrNotExist
		}
		if len(keys) > maxListed {
			return errTooMany
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return within(keys, prefix, recursive), nil
}

// within adds the names in between, which are not stored, to sorted keys below a prefix, or leaves out what does not lie
// directly below it.
func within(keys []string, prefix string, recursive bool) []string {
	var all []string
	seen := make(map[string]bool)
	for _, key := range keys {
		parts := strings.Split(strings.TrimPrefix(key, prefix), "/")
		if !recursive {
			parts = parts[:1]
		}
		name := strings.TrimSuffix(prefix, "/")
		for _, part := range parts {
			name = strings.TrimPrefix(name+"/"+part, "/")
			if !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all
}

// Stat describes a key, or returns [fs.ErrNotExist].
func (s *Storage) Stat(ctx context.Context, key string) (certmagic.KeyInfo, error) {
	name, err := check(key)
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	info := certmagic.KeyInfo{Key: key, IsTerminal: true}
	err = s.do(ctx, "describe a certificate's file", func(ctx context.Context) error {
		return missing(s.pool.QueryRow(ctx, "SELECT length(content), modified FROM files WHERE name = $1", name).
			Scan(&info.Size, &info.Modified))
	})
	if errors.Is(err, fs.ErrNotExist) && s.Exists(ctx, key) {
		return certmagic.KeyInfo{Key: key}, nil // there is something below
	}
	if err != nil {
		return certmagic.KeyInfo{}, err
	}
	return info, nil
}

// Format prints a placeholder, whatever the verb.
func (s *Storage) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[certificates in Postgres]")) }
