package load

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/relay"
)

// Variable is the environment variable that names a Postgres where databases may be created, as a URL.
const Variable = "SOTTO_TEST_DATABASE_URL"

// dropTime bounds the removal of a database.
const dropTime = time.Minute

// Database is one of its own, to be thrown away.
type Database struct {
	URL string

	admin, name string
}

// CreateDatabase makes an empty database on the server of the URL admin.
func CreateDatabase(ctx context.Context, admin string) (*Database, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return nil, errors.New(Variable + " is not a URL")
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	name := "sotto_load_" + hex.EncodeToString(id[:])
	if err := Execute(ctx, admin, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	u.Path = "/" + name
	return &Database{URL: u.String(), admin: admin, name: name}, nil
}

// Drop removes the database, whoever uses it.
func (d *Database) Drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	return Execute(ctx, d.admin, "DROP DATABASE IF EXISTS "+d.name+" WITH (FORCE)")
}

// Execute runs a statement on a connection of its own.
func Execute(ctx context.Context, at, sql string, args ...any) error {
	return Connected(ctx, at, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

// Connected gives do a connection.
func Connected(ctx context.Context, at string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(conn)
}

// Calm lets Postgres finish what is left of the phase before, where it may be asked to.
func (d *Database) Calm(ctx context.Context) {
	_ = Execute(ctx, d.URL, "CHECKPOINT")
}

// Commits returns how many transactions the database has committed so far. Postgres counts a session's with up to a
// second's delay.
func (d *Database) Commits(ctx context.Context) (n int64, err error) {
	err = Connected(ctx, d.admin, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT xact_commit FROM pg_stat_database WHERE datname = $1", d.name).Scan(&n)
	})
	return n, err
}

// Server finds the process of Postgres itself, 0 if it is not on this machine.
func (d *Database) Server(ctx context.Context) int {
	pid := 0
	_ = Connected(ctx, d.URL, func(conn *pgx.Conn) error {
		u, err := relay.UsageOf(int(conn.PgConn().PID()))
		if err == nil && u.Name == "postgres" {
			pid = u.Parent
		}
		return err
	})
	return pid
}
