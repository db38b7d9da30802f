package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"github.com/takovm/tako/internal/job"
)

// mostInGroup is how many transactions share a commit.
const mostInGroup = 64

// writer runs transactions, several in one commit.
type writer struct {
	db      *sql.DB
	ops     chan *op
	closing chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// op is one transaction of a group.
type op struct {
	ctx  context.Context
	fn   func(context.Context, *sql.Tx) error
	err  error
	done chan struct{}
}

func startWriter(db *sql.DB) *writer {
	w := &writer{db: db, ops: make(chan *op), closing: make(chan struct{})}
	w.done.Go(w.run)
	return w
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.closing) })
	w.done.Wait()
}

// do runs fn in a transaction and returns when it is committed. Once it began
// it is not given up: nobody could say whether it happened.
func (w *writer) do(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	o := &op{ctx: ctx, fn: fn, done: make(chan struct{})}
	select {
	case w.ops <- o:
		<-o.done
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return job.Errorf(job.KindUnavailable, "the database is closed")
	}
}

func (w *writer) run() {
	for {
		select {
		case <-w.closing:
			return
		case first := <-w.ops:
			w.commit(w.gather(first))
		}
	}
}

// gather adds what waits by now to the first one.
func (w *writer) gather(first *op) []*op {
	group := []*op{first}
	for len(group) < mostInGroup {
		select {
		case o := <-w.ops:
			group = append(group, o)
		default:
			return group
		}
	}
	return group
}

// commit runs a group and answers it.
func (w *writer) commit(group []*op) {
	err := w.runGroup(group)
	for _, o := range group {
		if err != nil && o.err == nil {
			o.err = err
		}
		close(o.done)
	}
}

// runGroup's error is of the group: nothing of it was committed. Statements get
// a context that does not end: SQLite undoes all of a transaction when one of
// its statements is interrupted.
func (w *writer) runGroup(group []*op) (err error) {
	ctx := context.Background()
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	for _, o := range group {
		if o.err = o.ctx.Err(); o.err != nil {
			continue
		}
		if len(group) == 1 { // needs no undoing alone
			if o.err = guarded(context.WithoutCancel(o.ctx), tx, o); o.err != nil {
				return o.err
			}
			break
		}
		if err := w.runOne(context.WithoutCancel(o.ctx), tx, o); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// runOne runs one of a group. Its error is of the group, o.err its own.
func (w *writer) runOne(ctx context.Context, tx *sql.Tx, o *op) error {
	if _, err := tx.ExecContext(ctx, "SAVEPOINT one"); err != nil {
		return err
	}
	end := "RELEASE one"
	if o.err = guarded(ctx, tx, o); o.err != nil {
		end = "ROLLBACK TO one; RELEASE one"
	}
	if _, err := tx.ExecContext(ctx, end); err != nil {
		return errors.Join(o.err, err)
	}
	return nil
}

// guarded makes an error of a panic: one transaction's fault is not to end the
// server, and with it everybody's.
func guarded(ctx context.Context, tx *sql.Tx, o *op) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = job.Errorf(job.KindInternal, "a transaction panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return o.fn(ctx, tx)
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
