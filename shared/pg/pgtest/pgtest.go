// Package pgtest gives each test an empty Postgres database of its own.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sotto/shared/pg"
)

// Variable is the environment variable with the URL of a server on which tests may create databases, in the form
// postgres://user:password@host:port/database.
const Variable = "SOTTO_TEST_DATABASE_URL"

// patience bounds creating and dropping a database.
const patience = time.Minute

// URL returns the URL of the test server. Without one it skips the test, or fails it when the variable CI is set.
func URL(t testing.TB) string {
	t.Helper()
	address := os.Getenv(Variable)
	if address == "" && os.Getenv("CI") != "" {
		t.Fatalf("%s is not set, and CI runs every test", Variable)
	}
	if address == "" {
		t.Skipf("%s is not set", Variable)
	}
	return address
}

// Open creates an empty database, dropped when the test ends, and returns its URL. Databases rather than schemas,
// because advisory locks and notifications know no schemas.
func Open(t testing.TB) string {
	t.Helper()
	server, err := url.Parse(URL(t))
	if err != nil {
		t.Fatalf("%s is not a URL", Variable)
	}
	name := "sotto_test_" + randomName()
	Exec(t, server.String(), "CREATE DATABASE "+name+" TEMPLATE template0")
	at := server.String()
	t.Cleanup(func() {
		// FORCE: a store that a failed test did not close must not keep the database.
		Exec(t, at, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	server.Path = "/" + name
	return server.String()
}

// Exec runs statements without parameters on a connection of their own.
func Exec(t testing.TB, address, statements string) {
	t.Helper()
	with(t, address, func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.PgConn().Exec(ctx, statements).ReadAll()
		return err
	})
}

// Int runs a query on a connection of its own and returns the integer that it selects.
func Int(t testing.TB, address, query string, args ...any) int64 {
	t.Helper()
	var n int64
	with(t, address, func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, query, args...).Scan(&n)
	})
	return n
}

func with(t testing.TB, address string, do func(context.Context, *pgx.Conn) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	config, err := pgx.ParseConfig(address)
	if err != nil {
		t.Fatal(pg.ErrURL)
	}
	conn, err := pg.Connect(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := do(ctx, conn); err != nil {
		t.Fatalf("test database: %s", pg.Safe(err))
	}
}

func randomName() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
