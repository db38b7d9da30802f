// Package postgres keeps records and the queue in a PostgreSQL database, which
// several servers may share.
//
// # Transactions
//
// They are READ COMMITTED: every statement sees what was committed before it,
// and sqlstore locks the rows that it decides on. Several transactions reach the
// disk together because PostgreSQL commits them so; nothing is gathered here.
// A transaction that PostgreSQL gave up for the sake of another one is run
// again, and so is one whose connection broke before its commit was sent. After
// that nobody but a look at the database can say whether it happened, so it is
// not run again: that is the caller's to settle (package store, Errors).
//
// # Notices
//
// Servers hear of each other's changes through NOTIFY. It makes transactions
// commit one after the other, so theirs carry none: what there is to tell is
// gathered for some milliseconds and sent in a transaction of its own
// (teller). Each server listens on a connection of its own (listener). Whatever
// gets lost on the way is made up for: by Notice.Missed after a connection
// broke, by the poll of the queue, and by Renew, which finds what was asked to
// end.
//
// # Servers
//
// PostgreSQL 14 and newer. Between tako and the server may be a proxy, but not
// one that hands out connections by transaction: LISTEN and prepared statements
// belong to a session.
package postgres

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
	"github.com/takovm/tako/internal/store/internal/entry"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

// Options are those of both drivers.
type Options = sqlstore.Options

// database is sqlstore.Database on a server.
type database struct {
	place place
	pool  *pgxpool.Pool
	queue *entry.Queue[pgx.Tx]

	teller     *teller
	listening  sync.WaitGroup
	stopListen context.CancelFunc
	once       sync.Once
}

// Open connects to a database, brings it up to date and starts to listen for
// the changes of other servers. The URL starts with postgresql://, postgres://
// or postgresql+psycopg://. Errors are job.KindConfig where only the operator
// can mend it, else job.KindUnavailable, and never hold the password.
func Open(ctx context.Context, url string, o Options) (store.Store, error) {
	config, err := parse(url)
	if err != nil {
		return nil, err
	}
	s, _, err := open(ctx, config, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func open(ctx context.Context, config *pgxpool.Config, o Options) (_ *sqlstore.Store, _ *database, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	d := &database{place: placeOf(config), stopListen: func() {}}
	defer func() {
		if err != nil {
			err = d.place.opening(ctx, err)
			d.close()
		}
	}()
	if d.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, config); err != nil {
		return nil, nil, err
	}
	if d.queue, err = entry.New(riverpgxv5.New(d.pool), o.Logger); err != nil {
		return nil, nil, err
	}
	l := newListener(config.ConnConfig, o.Logger)
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	s := sqlstore.New(d, o)
	d.teller = startTeller(d.notify, l.origin, o.Logger)
	d.listen(ctx, l, conn, s.Hear)
	return s, d, nil
}

// listen has hear called until Close.
func (d *database) listen(ctx context.Context, l *listener, conn *pgx.Conn, hear func(sqlstore.Notice)) {
	ctx, d.stopListen = context.WithCancel(context.WithoutCancel(ctx))
	d.listening.Go(func() { l.run(ctx, conn, hear) })
}

func (d *database) Work(ctx context.Context, feed entry.Feed) error {
	return d.place.translate(ctx, d.queue.Work(ctx, feed))
}

func (d *database) Wake()                  { d.queue.Wake() }
func (d *database) Tell(n sqlstore.Notice) { d.teller.tell(n) }

// Ping asks for one of our tables.
func (d *database) Ping(ctx context.Context) error {
	return d.value(ctx, "SELECT count(*) FROM (SELECT 1 FROM records LIMIT 1) r", new(int))
}

// Clock is the server's, to the microsecond.
func (d *database) Clock(ctx context.Context) (time.Time, error) {
	var micros int64
	err := d.value(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", &micros)
	return time.UnixMicro(micros), err
}

func (d *database) SizeBytes(ctx context.Context) (n int64, err error) {
	err = d.value(ctx, "SELECT pg_database_size(current_database())", &n)
	return n, err
}

func (d *database) value(ctx context.Context, query string, dest any) error {
	return d.Read(ctx, func(ctx context.Context, q sqlstore.Querier) error {
		return q.Each(ctx, query, nil, func(scan sqlstore.Scan) error { return scan(dest) })
	})
}

// Backup is pg_dump's.
func (d *database) Backup(context.Context, string) error {
	return job.Errorf(job.KindInvalid, "tako does not back up PostgreSQL").WithHint("use pg_dump")
}

// Close tells what is left to tell and gives all connections back.
func (d *database) Close() error {
	d.once.Do(d.close)
	return nil
}

func (d *database) close() {
	if d.teller != nil {
		d.teller.stop()
	}
	d.stopListen()
	d.listening.Wait()
	if d.pool != nil {
		d.pool.Close()
	}
}

// notify sends payloads to all servers that listen. It writes nothing, and so
// does not wait for the disk.
func (d *database) notify(ctx context.Context, payloads []string) error {
	_, err := d.pool.Exec(ctx, "SELECT pg_notify($1, p) FROM unnest($2::text[]) p", channel, payloads)
	return err
}

// pause waits, and reports whether ctx went on meanwhile.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
