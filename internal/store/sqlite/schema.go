package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/takovm/tako/internal/store/internal/entry"
)

// CheckSchema answers job.KindConfig for a database whose tables are not those
// of this binary. Open would bring them up to date, under a server that may not
// know them then; nothing is changed here. A file that is not there is fine.
func CheckSchema(ctx context.Context, path string) (err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	db, err := connect(path, 1, "mode=rw&_pragma=query_only(1)")
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	want, has, err := schemas(ctx, db)
	if err != nil {
		return translate(fmt.Errorf("looking at the tables in %s: %w", path, err))
	}
	return want.Check(has, path)
}

// schemas are what this binary makes, and what a database has.
func schemas(ctx context.Context, db *sql.DB) (want, has entry.Schema, err error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return want, has, err
	}
	if want, err = entry.SchemaOf(folder, riversqlite.New(db)); err != nil {
		return want, has, err
	}
	if has.Ours, err = newest(ctx, db, "tako_migrations", "version_id"); err == nil {
		has.River, err = newest(ctx, db, "river_migration", "version")
	}
	return want, has, err
}

// newest is the newest migration in a table of them, 0 without the table.
func newest(ctx context.Context, db *sql.DB, table, column string) (version int64, err error) {
	var tables int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?", table).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err = db.QueryRowContext(ctx, "SELECT coalesce(max("+column+"), 0) FROM "+table).Scan(&version)
	return version, err
}
