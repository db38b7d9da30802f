package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/internal/entry"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

// conn is what transactions and pools have in common.
type conn struct {
	db interface {
		QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
		ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	}
}

// numbered turns $1 into ?1: SQLite counts the first by appearance.
func numbered(query string) string { return strings.ReplaceAll(query, "$", "?") }

func (c conn) Each(ctx context.Context, query string, args []any, row func(sqlstore.Scan) error) (err error) {
	rows, err := c.db.QueryContext(ctx, numbered(query), args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tx is sqlstore.Tx.
type tx struct {
	conn
	tx    *sql.Tx
	queue *entry.Queue[*sql.Tx]
}

func (t *tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.db.ExecContext(ctx, numbered(query), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Do does it at once: there is no way to save.
func (t *tx) Do(ctx context.Context, query string, args ...any) error {
	_, err := t.db.ExecContext(ctx, numbered(query), args...)
	return err
}

func (t *tx) InsertEntries(ctx context.Context, entries []entry.Entry) (map[string]int64, error) {
	return t.queue.Insert(ctx, t.tx, entries)
}

func (t *tx) TakeEntries(ctx context.Context, queue string, n int) ([]entry.Taken, error) {
	return t.queue.Take(ctx, t.tx, queue, n)
}

func (t *tx) PromoteEntries(ctx context.Context, n int) (int, error) {
	return t.queue.Promote(ctx, t.tx, n)
}

// Locking is nothing: who has the transaction is the only writer.
func (t *tx) Locking() string { return "" }

// translate gives errors of the database their kind. Others pass.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var known *job.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone) || strings.Contains(err.Error(), "sql: database is closed") {
		return job.Errorf(job.KindUnavailable, "the database is closed: %w", err)
	}
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Code() & 0xff {
	case lib.SQLITE_FULL:
		return unavailable(err).WithHint("free space on the disk of the data directory")
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED:
		return unavailable(err).WithHint("another process holds the database; end it, or wait")
	case lib.SQLITE_IOERR, lib.SQLITE_CANTOPEN, lib.SQLITE_READONLY, lib.SQLITE_NOMEM, lib.SQLITE_PERM, lib.SQLITE_PROTOCOL, lib.SQLITE_INTERRUPT:
		return unavailable(err)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return job.Errorf(job.KindConfig, "the database is damaged: %w", err).WithHint("restore a backup")
	}
	return job.Errorf(job.KindInternal, "the database: %w", err)
}

func unavailable(err error) *job.Error {
	return job.Errorf(job.KindUnavailable, "%w", fmt.Errorf("the database is not available: %w", err))
}
