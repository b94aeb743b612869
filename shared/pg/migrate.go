package pg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// migrationLock is the key of the advisory lock under which migrations run.
const migrationLock = 0x536f74746f4d6967 // "SottoMig"

// Migration is one step of a schema: a file 0001_name.sql.
type Migration struct {
	Version int
	Name    string
	SQL     string
}

// NewerSchemaError says that the database was migrated by a newer program than this one.
type NewerSchemaError struct {
	Have, Know int
}

// Error tells the operator what to do.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the database has schema version %d, this program knows versions up to %d: start a newer program, or restore a backup made before the upgrade",
		e.Have, e.Know)
}

// Safe is the same as Error: it quotes nothing from the database but a number.
func (e *NewerSchemaError) Safe() string { return e.Error() }

// Migrations reads the files *.sql of dir, which are numbered from 0001 without gaps.
func Migrations(files fs.FS, dir string) ([]Migration, error) {
	names, err := fs.Glob(files, dir+"/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	steps := make([]Migration, 0, len(names))
	for i, name := range names {
		base := strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".sql")
		number, rest, ok := strings.Cut(base, "_")
		version, err := strconv.Atoi(number)
		if !ok || err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want a name that begins with %04d_", base, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		steps = append(steps, Migration{Version: version, Name: rest, SQL: string(text)})
	}
	return steps, nil
}

// Migrate brings the schema to the last of steps and returns those it ran. Each step is one transaction, so a
// crash between two of them is safe. Two programs that migrate at once take turns. A schema that is newer than
// the last step is a [NewerSchemaError], and nothing is changed.
func Migrate(ctx context.Context, conn *pgx.Conn, steps []Migration) (ran []Migration, err error) {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return nil, Wrap("wait for migrations", err)
	}
	defer func() {
		_, unlockErr := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", int64(migrationLock))
		err = errors.Join(err, Wrap("end migrations", unlockErr))
	}()
	have, err := schemaVersion(ctx, conn)
	if err != nil {
		return nil, Wrap("read schema version", err)
	}
	if have > len(steps) {
		return nil, &NewerSchemaError{Have: have, Know: len(steps)}
	}
	for _, step := range steps[have:] {
		if err := step.run(ctx, conn); err != nil {
			return ran, Wrap(fmt.Sprintf("migration %04d_%s", step.Version, step.Name), err)
		}
		ran = append(ran, step)
	}
	return ran, nil
}

// schemaVersion returns the last step that was run, 0 in an empty database.
func schemaVersion(ctx context.Context, conn *pgx.Conn) (have int, err error) {
	// Asking first keeps a notice out of the server's log at every start.
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass('schema_migrations') IS NOT NULL").Scan(&exists); err != nil {
		return 0, err
	}
	if !exists {
		_, err := conn.Exec(ctx, `CREATE TABLE schema_migrations (
			version integer PRIMARY KEY, name text NOT NULL, run_at timestamptz NOT NULL DEFAULT now())`)
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM schema_migrations").Scan(&have)
	return have, err
}

func (m Migration) run(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Conn().PgConn().Exec(ctx, m.SQL).ReadAll(); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)", m.Version, m.Name)
		return err
	})
}
