package main

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

// variable is the environment variable that names a Postgres where databases may be created, as a URL.
const variable = "SOTTO_TEST_DATABASE_URL"

// dropTime bounds the removal of a database.
const dropTime = time.Minute

// database is one of its own, to be thrown away.
type database struct {
	url, admin, name string
}

// createDatabase makes an empty database on the server of the URL admin.
func createDatabase(ctx context.Context, admin string) (*database, error) {
	u, err := url.Parse(admin)
	if err != nil {
		return nil, errors.New(variable + " is not a URL")
	}
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails
	name := "sotto_load_" + hex.EncodeToString(id[:])
	if err := execute(ctx, admin, "CREATE DATABASE "+name); err != nil {
		return nil, err
	}
	u.Path = "/" + name
	return &database{url: u.String(), admin: admin, name: name}, nil
}

// drop removes the database, whoever uses it.
func (d *database) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), dropTime)
	defer cancel()
	return execute(ctx, d.admin, "DROP DATABASE IF EXISTS "+d.name+" WITH (FORCE)")
}

// execute runs a statement on a connection of its own.
func execute(ctx context.Context, at, sql string, args ...any) error {
	return connected(ctx, at, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

// connected gives do a connection.
func connected(ctx context.Context, at string, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(conn)
}

// calm lets Postgres finish what is left of the phase before, where it may be asked to.
func (d *database) calm(ctx context.Context) {
	_ = execute(ctx, d.url, "CHECKPOINT")
}

// commits returns how many transactions the database has committed so far. Postgres counts a session's with up to a
// second's delay.
func (d *database) commits(ctx context.Context) (n int64, err error) {
	err = connected(ctx, d.admin, func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT xact_commit FROM pg_stat_database WHERE datname = $1", d.name).Scan(&n)
	})
	return n, err
}

// server finds the process of Postgres itself, 0 if it is not on this machine.
func (d *database) server(ctx context.Context) int {
	pid := 0
	_ = connected(ctx, d.url, func(conn *pgx.Conn) error {
		u, err := relay.UsageOf(int(conn.PgConn().PID()))
		if err == nil && u.Name == "postgres" {
			pid = u.Parent
		}
		return err
	})
	return pid
}
