package postgres

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/internal/entry"
	"github.com/takovm/tako/internal/store/internal/sqlstore"
)

const (
	// mostTries is how often a transaction is run that loses to others.
	mostTries = 6
	// endTimeout bounds the end of a transaction, which its caller's context
	// does not.
	endTimeout = 30 * time.Second
	// mostPutOff is how many statements are sent together.
	mostPutOff = 64
)

// querier is what transactions and connections have in common.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (pgx.Rows, error)
	Exec(ctx context.Context, query string, args ...any) (pgconn.CommandTag, error)
}

// each is sqlstore.Querier's; got is how many rows there were.
func each(ctx context.Context, q querier, query string, args []any, row func(sqlstore.Scan) error) (got int, own, err error) {
	rows, err := q.Query(ctx, query, texts(args)...)
	if err != nil {
		return 0, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		got++
		if err := row(rows.Scan); err != nil {
			return got, err, nil
		}
	}
	return got, nil, rows.Err()
}

// texts makes strings such that PostgreSQL takes them: it has no text with
// NUL or with broken UTF-8 in it. What is searched for is changed alike.
func texts(args []any) []any {
	copied := false
	for i, a := range args {
		s, ok := a.(string)
		if !ok || (utf8.ValidString(s) && strings.IndexByte(s, 0) < 0) {
			continue
		}
		if !copied {
			args, copied = append([]any(nil), args...), true
		}
		args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	return args
}

// tx is sqlstore.Tx.
type tx struct {
	tx    pgx.Tx
	place place
	queue *entry.Queue[pgx.Tx]
	put   pgx.Batch // off until the next statement or the end
}

// Do puts a statement off: several that ask nothing go together.
func (t *tx) Do(ctx context.Context, query string, args ...any) error {
	t.put.Queue(query, texts(args)...)
	if t.put.Len() < mostPutOff {
		return nil
	}
	return t.flush(ctx)
}

// flush sends what was put off.
func (t *tx) flush(ctx context.Context) error {
	if t.put.Len() == 0 {
		return nil
	}
	put := t.put // which Close looks at: what is no longer prepared on the server is forgotten
	t.put = pgx.Batch{}
	results := t.tx.SendBatch(ctx, &put)
	var err error
	for range put.Len() {
		if _, err = results.Exec(); err != nil {
			break
		}
	}
	if closing := results.Close(); err == nil {
		err = closing
	}
	return t.place.translate(ctx, err)
}

func (t *tx) Each(ctx context.Context, query string, args []any, row func(sqlstore.Scan) error) error {
	if err := t.flush(ctx); err != nil {
		return err
	}
	_, own, err := each(ctx, t.tx, query, args, row)
	if own != nil {
		return own
	}
	return t.place.translate(ctx, err)
}

func (t *tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	tag, err := t.tx.Exec(ctx, query, texts(args)...)
	return tag.RowsAffected(), t.place.translate(ctx, err)
}

func (t *tx) InsertEntries(ctx context.Context, entries []entry.Entry) (map[string]int64, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	ids, err := t.queue.Insert(ctx, t.tx, entries)
	return ids, t.place.translate(ctx, err)
}

func (t *tx) TakeEntries(ctx context.Context, queue string, n int) ([]entry.Taken, error) {
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	taken, err := t.queue.Take(ctx, t.tx, queue, n)
	return taken, t.place.translate(ctx, err)
}

func (t *tx) PromoteEntries(ctx context.Context, n int) (int, error) {
	if err := t.flush(ctx); err != nil {
		return 0, err
	}
	n, err := t.queue.Promote(ctx, t.tx, n)
	return n, t.place.translate(ctx, err)
}

func (t *tx) Locking() string { return " FOR UPDATE" }

// Write runs fn in a transaction, and again in another one as long as that can
// do no harm and may help.
func (d *database) Write(ctx context.Context, fn func(context.Context, sqlstore.Tx) error) error {
	for try := 1; ; try++ {
		again, err := d.write(ctx, fn)
		if err == nil || !again || try == mostTries || !pause(ctx, time.Duration(rand.Int64N(int64(try)*int64(5*time.Millisecond)))) {
			return err
		}
	}
}

// acquire takes a connection from the pool. That there is none to be had is
// never a defect of a statement.
func (d *database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := d.pool.Acquire(ctx)
	if err == nil {
		return conn, nil
	}
	err = d.place.translate(ctx, err)
	if ctx.Err() == nil && job.KindOf(err) == job.KindInternal {
		err = d.place.unavailable(err)
	}
	return nil, err
}

// write reports whether what failed may be tried again.
func (d *database) write(ctx context.Context, fn func(context.Context, sqlstore.Tx) error) (again bool, err error) {
	conn, err := d.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	t, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted, AccessMode: pgx.ReadWrite})
	if err != nil {
		return d.broke(ctx, conn), d.place.translate(ctx, err)
	}
	// Once begun, only the end of a statement is the caller's to order: given
	// up amidst a commit, nobody could say whether it happened.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	defer func() { _ = t.Rollback(end) }() // does nothing after the commit; and closes the connection where it fails
	own := &tx{tx: t, place: d.place, queue: d.queue}
	if err = fn(ctx, own); err == nil {
		err = own.flush(ctx)
	}
	if err != nil {
		return passes(err) || d.broke(ctx, conn), err
	}
	if err := t.Commit(end); err != nil {
		return passes(err), d.uncertain(end, conn, err)
	}
	return false, nil
}

// uncertain is a failed commit.
func (d *database) uncertain(ctx context.Context, conn *pgxpool.Conn, err error) error {
	if !conn.Conn().IsClosed() {
		return d.place.translate(ctx, err) // the server said that it was undone
	}
	return job.Errorf(job.KindUnavailable, "%w", fmt.Errorf("%s was lost during a commit, which may have happened: %w", d.place, reason{err}))
}

// broke reports whether the connection broke, other than by the caller's will.
// Then the others have as well, mostly: the server was started again. None is
// used again.
func (d *database) broke(ctx context.Context, conn *pgxpool.Conn) bool {
	if ctx.Err() != nil || !conn.Conn().IsClosed() {
		return false
	}
	d.pool.Reset()
	return true
}

// Read runs fn outside of a transaction: each of its statements sees what is
// committed by then.
func (d *database) Read(ctx context.Context, fn func(context.Context, sqlstore.Querier) error) error {
	return fn(ctx, reader{d})
}

// reader is sqlstore.Querier on any connection.
type reader struct{ d *database }

// Each asks a second time where a connection breaks before there was an answer.
func (r reader) Each(ctx context.Context, query string, args []any, row func(sqlstore.Scan) error) error {
	again, err := r.each(ctx, query, args, row)
	if again {
		_, err = r.each(ctx, query, args, row)
	}
	return err
}

func (r reader) each(ctx context.Context, query string, args []any, row func(sqlstore.Scan) error) (again bool, err error) {
	conn, err := r.d.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	got, own, err := each(ctx, conn, query, args, row)
	if own != nil || err == nil {
		return false, own
	}
	return got == 0 && (passes(err) || r.d.broke(ctx, conn)), r.d.place.translate(ctx, err)
}
