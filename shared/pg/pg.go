// Package pg is the floor that stores in Postgres stand on: opening connections, running migrations, telling which
// errors may pass, and saying in a log what went wrong without saying to whom.
package pg

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// connectTimeout bounds one attempt to connect, unless the URL has a connect_timeout.
	connectTimeout = 3 * time.Second
	// maxIdle is how long a connection that nobody needs stays open.
	maxIdle = 5 * time.Minute
)

// settings are sent with every connection unless the URL has others. Keepalives let the server notice within a
// minute that a relay's machine is gone; the backends of a dead relay would otherwise keep its locks.
var settings = map[string]string{
	"tcp_keepalives_idle":                 "30",
	"tcp_keepalives_interval":             "10",
	"tcp_keepalives_count":                "3",
	"idle_in_transaction_session_timeout": "60s",
}

// ErrURL says that a database URL cannot be understood. The text does not quote the URL, which may hold a password.
var ErrURL = errors.New("the database URL is not valid: expected postgres://user:password@host:port/database")

// Options say how to connect.
type Options struct {
	// URL is postgres://user:password@host:port/database?option=value, or the key=value form; see the documentation
	// of libpq. Whatever it leaves out comes from the PG* environment variables.
	URL string
	// Name is shown by Postgres as application_name, so that an operator can tell the services apart.
	Name string
	// MaxConns bounds the pool; 0: four connections.
	MaxConns int
	// Settings are further run-time parameters of each connection.
	Settings map[string]string
}

// Config returns the pool configuration that o describes, or [ErrURL].
func (o Options) Config() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(o.URL)
	if err != nil {
		return nil, ErrURL
	}
	params := config.ConnConfig.RuntimeParams
	if _, set := params["application_name"]; !set && o.Name != "" {
		params["application_name"] = o.Name
	}
	for _, more := range []map[string]string{settings, o.Settings} {
		for name, value := range more {
			if _, set := params[name]; !set {
				params[name] = value
			}
		}
	}
	if config.ConnConfig.ConnectTimeout == 0 || config.ConnConfig.ConnectTimeout > time.Minute {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	config.MaxConns = 4
	if o.MaxConns > 0 {
		config.MaxConns = int32(min(o.MaxConns, 1000))
	}
	config.MaxConnIdleTime = maxIdle
	return config, nil
}

// Open returns a pool. It connects when first used: a database that is away is not an error here.
func Open(ctx context.Context, o Options) (*pgxpool.Pool, error) {
	config, err := o.Config()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, Wrap("open database", err)
	}
	return pool, nil
}

// Connect makes one connection of its own, outside any pool.
func Connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, Wrap("connect to database", err)
	}
	return conn, nil
}

// Error is an error of the database whose text is safe to log. The cause is found by errors.Is and errors.As.
type Error struct {
	op    string
	cause error
}

// Wrap returns an error with the text "op: cause", the cause as [Safe] tells it; nil when err is nil.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{op: op, cause: err}
}

// Error returns the operation and the safe text of the cause.
func (e *Error) Error() string { return e.op + ": " + Safe(e.cause) }

// Unwrap returns the cause, whose own text may quote addresses and row values.
func (e *Error) Unwrap() error { return e.cause }

// Format prints the safe text, whatever the verb.
func (e *Error) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(e.Error())) }

// Code returns the SQLSTATE of the server's error in err's chain, or "".
func Code(err error) string {
	var server *pgconn.PgError
	if errors.As(err, &server) {
		return server.Code
	}
	return ""
}
