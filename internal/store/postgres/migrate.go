package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/takovm/tako/internal/store/internal/entry"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// lockKey is the advisory lock of whoever migrates: "tako" in ASCII.
	lockKey = 0x74616b6f
	// lockInterval is how often it is tried. Waiting inside the server would
	// hold a snapshot, which an index that is built CONCURRENTLY waits for.
	lockInterval = 50 * time.Millisecond
)

// migrate brings our tables and River's up to date, one server at a time. The
// lock belongs to a connection that is closed in the end: whatever happens, it
// is not left behind. Nothing here is bound in time as other statements are: an
// index takes as long as its table is large.
func migrate(ctx context.Context, config *pgxpool.Config) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, hangUp(ctx, conn)) }()
	if err := lock(ctx, conn); err != nil {
		return fmt.Errorf("waiting for another server to bring the database up to date: %w", err)
	}
	want, has, err := schemas(ctx, conn)
	if err != nil {
		return fmt.Errorf("looking at the tables: %w", err)
	}
	if err := want.CheckNotNewer(has, placeOf(config).String()); err != nil {
		return err
	}
	if err := migrateOurs(ctx, config.ConnConfig); err != nil {
		return fmt.Errorf("bringing the database up to date: %w", err)
	}
	unbound := config.Copy()
	unbound.AfterConnect, unbound.MinConns, unbound.MinIdleConns = nil, 0, 0
	pool, err := pgxpool.NewWithConfig(ctx, unbound)
	if err != nil {
		return err
	}
	defer pool.Close()
	return entry.Migrate(ctx, riverpgxv5.New(pool))
}

func lock(ctx context.Context, conn *pgx.Conn) error {
	for {
		var locked bool
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(lockKey)).Scan(&locked); err != nil || locked {
			return err
		}
		if !pause(ctx, lockInterval) {
			return ctx.Err()
		}
	}
}

func migrateOurs(ctx context.Context, config *pgx.ConnConfig) (err error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	db := stdlib.OpenDB(*config.Copy())
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := goose.NewProvider(goose.DialectPostgres, db, folder, goose.WithDisableGlobalRegistry(true), goose.WithTableName("tako_migrations"))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// hangUp closes a connection in good order, if that takes no time to speak of.
func hangUp(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	return conn.Close(ctx)
}
