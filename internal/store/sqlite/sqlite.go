// Package sqlite keeps records and the queue in one file: the store that needs
// no server beside tako's own.
//
// # One writer
//
// SQLite has one writer at a time, and a commit that is on disk costs an fsync.
// So there is one goroutine that writes. It takes whatever transactions wait,
// runs them one after the other in one transaction of the database, each in a
// savepoint that can be undone alone, commits once, and answers all of them:
// sixteen clients share an fsync instead of queueing for sixteen. None is
// answered before the commit.
//
// Reads have connections of their own and see what is committed; in WAL mode
// they neither wait for the writer nor hold it up.
//
// # One server
//
// That only one server works on a file is for the caller to see to (a lock on
// the data directory). Other processes may open it beside the server, for keys
// say: they wait for the file's lock for up to five seconds.
//
// # Durability
//
// journal_mode=WAL and synchronous=FULL: what was answered survives the
// machine's loss of power. A backup is a new file made by VACUUM INTO.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riversqlite"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options are those of both drivers.
type Options = sqlstore.Options

// readers is how many reads go on at once.
const readers = 4

// database is sqlstore.Database on a file.
type database struct {
	path   string
	write  *sql.DB // one connection
	read   *sql.DB
	queue  *entry.Queue[*sql.Tx]
	writer *writer
}

// Open opens or makes the database at path and brings it up to date. Errors are
// job.KindUnavailable, or job.KindConfig for a file that is no database, or that of
// a newer tako.
func Open(ctx context.Context, path string, o Options) (_ store.Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, job.Errorf(job.KindConfig, "the database's path: %w", err)
	}
	d := &database{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(translate(err), d.closeFiles())
		}
	}()
	if d.write, err = connect(path, 1, "_txlock=immediate&_pragma=cache_size(-8000)"); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	want, has, err := schemas(ctx, d.write)
	if err != nil {
		return nil, fmt.Errorf("looking at the tables in %s: %w", path, err)
	}
	if err := want.CheckNotNewer(has, path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, d.write); err != nil {
		return nil, fmt.Errorf("bringing %s up to date: %w", path, err)
	}
	if d.read, err = connect(path, readers, "_pragma=query_only(1)&_pragma=cache_size(-8000)"); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if d.queue, err = entry.New(riversqlite.New(d.write), o.Logger); err != nil {
		return nil, err
	}
	d.writer = startWriter(d.write)
	return sqlstore.New(d, o), nil
}

// connect opens a pool of n connections.
func connect(path string, n int, option string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=foreign_keys(1)&_pragma=temp_store(MEMORY)&" + option}
	connector, err := newPreparing(u.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// migrate brings our tables and River's up to date. A database that is so
// already is not written to.
func migrate(ctx context.Context, db *sql.DB) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true), goose.WithTableName("tako_migrations"))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return err
	}
	return entry.Migrate(ctx, riversqlite.New(db))
}

func (d *database) Write(ctx context.Context, fn func(context.Context, sqlstore.Tx) error) error {
	return translate(d.writer.do(ctx, func(ctx context.Context, t *sql.Tx) error { return fn(ctx, &tx{conn{t}, t, d.queue}) }))
}

func (d *database) Read(ctx context.Context, fn func(context.Context, sqlstore.Querier) error) error {
	return translate(fn(ctx, conn{d.read}))
}

func (d *database) Work(ctx context.Context, feed entry.Feed) error {
	return translate(d.queue.Work(ctx, feed))
}

func (d *database) Wake()                { d.queue.Wake() }
func (d *database) Tell(sqlstore.Notice) {} // there is no other server

func (d *database) Ping(ctx context.Context) error {
	var one int
	return translate(d.read.QueryRowContext(ctx, "SELECT 1 FROM records UNION SELECT 1 LIMIT 1").Scan(&one))
}

// Clock is none of its own.
func (d *database) Clock(context.Context) (time.Time, error) { return time.Time{}, nil }

// SizeBytes is the file and its log.
func (d *database) SizeBytes(context.Context) (int64, error) {
	var size int64
	for _, name := range []string{d.path, d.path + "-wal"} {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, job.Errorf(job.KindUnavailable, "measuring the database: %w", err)
		}
		size += info.Size()
	}
	return size, nil
}

// Backup writes what is committed to a new file and returns when that is on
// disk.
func (d *database) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return job.Errorf(job.KindInvalid, "%s exists: a backup is a new file", path)
	}
	source, err := connect(d.path, 1, "mode=rw")
	if err != nil {
		return translate(err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if _, err := source.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return errors.Join(translate(fmt.Errorf("copying the database: %w", err)), os.RemoveAll(path))
	}
	for _, name := range []string{path, filepath.Dir(path)} {
		if err := syncFile(name); err != nil {
			return job.Errorf(job.KindUnavailable, "writing the backup: %w", err)
		}
	}
	return nil
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *database) Close() error {
	d.writer.stop()
	return translate(d.closeFiles())
}

func (d *database) closeFiles() error {
	var errs []error
	for _, db := range []*sql.DB{d.read, d.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
