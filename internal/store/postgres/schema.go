package postgres

import (
	"context"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/takovm/tako/internal/store/internal/entry"
)

// CheckSchema answers job.KindConfig for a database whose tables are not those
// of this binary. Open would bring them up to date, under servers that may not
// know them then; nothing is changed here. A database without any is fine. Other
// errors are those of Open.
func CheckSchema(ctx context.Context, url string) error {
	config, err := parse(url)
	if err != nil {
		return err
	}
	place := placeOf(config)
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
	if err != nil {
		return place.opening(ctx, err)
	}
	want, has, err := schemas(ctx, conn)
	if err = errors.Join(err, hangUp(ctx, conn)); err != nil {
		return place.opening(ctx, err)
	}
	return want.Check(has, place.String())
}

// schemas are what this binary makes, and what a database has.
func schemas(ctx context.Context, conn *pgx.Conn) (want, has entry.Schema, err error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return want, has, err
	}
	if want, err = entry.SchemaOf(folder, riverpgxv5.New(nil)); err != nil {
		return want, has, err
	}
	if has.Ours, err = newest(ctx, conn, "tako_migrations", "version_id"); err == nil {
		has.River, err = newest(ctx, conn, "river_migration", "version")
	}
	return want, has, err
}

// newest is the newest migration in a table of them, 0 without the table.
func newest(ctx context.Context, conn *pgx.Conn, table, column string) (version int64, err error) {
	var there bool
	if err := conn.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there); err != nil || !there {
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT coalesce(max("+column+"), 0) FROM "+table).Scan(&version)
	return version, err
}
