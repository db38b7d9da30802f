package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store/internal/entry"
)

// defaultPatience is how long a database may be silent.
const defaultPatience = 15 * time.Second

// errSilent is why a context ended that did not end by its caller's will.
var errSilent = errors.New("the database is silent")

// patient gives a database up that does not answer: one that hangs keeps its
// connections open, and nobody who asks it would ever hear of that. What counts
// is the time since its last answer, not what a call takes in all: a thousand
// jobs are stored in one transaction.
type patient struct {
	Database
	most time.Duration
}

func (p patient) Write(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	return p.within(ctx, func(ctx context.Context, heard func()) error {
		return p.Database.Write(ctx, func(ctx context.Context, tx Tx) error {
			heard()
			return fn(ctx, heardTx{tx, heardQuerier{tx, heard}})
		})
	})
}

func (p patient) Read(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	return p.within(ctx, func(ctx context.Context, heard func()) error {
		return p.Database.Read(ctx, func(ctx context.Context, q Querier) error { return fn(ctx, heardQuerier{q, heard}) })
	})
}

func (p patient) Ping(ctx context.Context) error {
	return p.within(ctx, func(ctx context.Context, _ func()) error { return p.Database.Ping(ctx) })
}

func (p patient) Clock(ctx context.Context) (at time.Time, err error) {
	err = p.within(ctx, func(ctx context.Context, _ func()) (err error) {
		at, err = p.Database.Clock(ctx)
		return err
	})
	return at, err
}

func (p patient) SizeBytes(ctx context.Context) (n int64, err error) {
	err = p.within(ctx, func(ctx context.Context, _ func()) (err error) {
		n, err = p.Database.SizeBytes(ctx)
		return err
	})
	return n, err
}

// within ends the context of do when heard was not called for too long.
func (p patient) within(ctx context.Context, do func(ctx context.Context, heard func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(p.most, func() { cancel(errSilent) })
	defer timer.Stop()
	err := do(ctx, func() { timer.Reset(p.most) })
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errSilent) {
		return job.Errorf(job.KindUnavailable, "the database did not answer within %v", p.most)
	}
	return err
}

// heardQuerier tells of every answer.
type heardQuerier struct {
	Querier
	heard func()
}

func (q heardQuerier) Each(ctx context.Context, query string, args []any, row func(scan Scan) error) error {
	defer q.heard()
	return q.Querier.Each(ctx, query, args, func(scan Scan) error {
		q.heard()
		return row(scan)
	})
}

// heardTx tells of every answer.
type heardTx struct {
	Tx
	q heardQuerier
}

func (t heardTx) Each(ctx context.Context, query string, args []any, row func(scan Scan) error) error {
	return t.q.Each(ctx, query, args, row)
}

func (t heardTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	defer t.q.heard()
	return t.Tx.Exec(ctx, query, args...)
}

func (t heardTx) Do(ctx context.Context, query string, args ...any) error {
	defer t.q.heard()
	return t.Tx.Do(ctx, query, args...)
}

func (t heardTx) InsertEntries(ctx context.Context, entries []entry.Entry) (map[string]int64, error) {
	defer t.q.heard()
	return t.Tx.InsertEntries(ctx, entries)
}

func (t heardTx) TakeEntries(ctx context.Context, queue string, n int) ([]entry.Taken, error) {
	defer t.q.heard()
	return t.Tx.TakeEntries(ctx, queue, n)
}

func (t heardTx) PromoteEntries(ctx context.Context, n int) (int, error) {
	defer t.q.heard()
	return t.Tx.PromoteEntries(ctx, n)
}

// takeRoom is room.take, in which one counts and the others wait for it: no
// longer than for an answer of the database, and no longer than they want to.
func (s *Store) takeRoom(ctx context.Context, n, max int) (fits bool, err error) {
	waiting, cancel := context.WithTimeoutCause(ctx, s.patience, errSilent)
	defer cancel()
	select {
	case s.counting <- struct{}{}:
	case <-waiting.Done():
		if errors.Is(context.Cause(waiting), errSilent) {
			return false, job.Errorf(job.KindUnavailable, "the database did not answer others within %v", s.patience)
		}
		return false, ctx.Err()
	}
	defer func() { <-s.counting }()
	return s.room.take(ctx, s, n, max)
}
