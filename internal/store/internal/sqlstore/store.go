package sqlstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Options are of both drivers.
type Options struct {
	// Logger gets what nobody can be answered with; nil discards.
	Logger *slog.Logger
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Patience is how long the database may take for one answer, before it counts
	// as not available; default 15 s.
	Patience time.Duration
	// Fault, in tests, is called at every point of failure, and what it returns
	// fails the call there.
	Fault func(point string) error
}

// Store is a store.Store on a Database. Close ends its Work and Follow calls
// only in so far as their contexts have: end those first.
type Store struct {
	db    Database
	life  string // of this process: claims of an earlier one are not ours
	now   func() time.Time
	fault func(string) error
	log   *slog.Logger

	claims    claims
	hub       hub
	room      room
	later     later
	gathering gathering
	counting  chan struct{} // has an element while somebody takes room
	patience  time.Duration
	working   sync.Mutex // held by Work
	held      atomic.Bool
	skew      atomic.Int64 // nanoseconds by which the database's clock is ahead
}

// New returns the store of a database that is up to date.
func New(db Database, o Options) *Store {
	if o.Patience <= 0 {
		o.Patience = defaultPatience
	}
	s := &Store{
		db: patient{db, o.Patience}, life: rand.Text(), now: o.Now, fault: o.Fault, log: o.Logger,
		patience: o.Patience, counting: make(chan struct{}, 1),
		gathering: gathering{come: make(chan struct{}, 1)},
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.fault == nil {
		s.fault = func(string) error { return nil }
	}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s.held.Store(true) // until the first look says otherwise
	return s
}

var _ store.Store = (*Store)(nil)

// txn is a transaction and what is to be told when it is committed.
type txn struct {
	Tx
	s      *Store
	name   string
	notice Notice
	// batches had records that ended; they are looked at last, for the order
	// of locks.
	batches map[string]struct{}
}

// point is a point of failure between two groups of statements.
func (t *txn) point(group string) error { return t.s.fault(t.name + "." + group) }

func (t *txn) changed(id string) { t.notice.Changed = append(t.notice.Changed, id) }

// write runs fn in the transaction that name is for, and tells of it.
func (s *Store) write(ctx context.Context, name string, fn func(ctx context.Context, t *txn) error) error {
	if err := s.fault(name + ".begin"); err != nil {
		return err
	}
	var t *txn
	err := s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		t = &txn{Tx: tx, s: s, name: name}
		if err := fn(ctx, t); err != nil {
			return err
		}
		if err := t.endBatches(ctx); err != nil {
			return err
		}
		return t.point("commit")
	})
	if err != nil {
		return err
	}
	if t.notice.Wake && name != "submit" {
		s.room.forget()
	}
	s.tell(t.notice)
	return s.fault(name + ".committed")
}

// tell spreads what was committed, here and to the other servers.
func (s *Store) tell(n Notice) {
	if n.empty() {
		return
	}
	s.Hear(n)
	s.db.Tell(n)
}

// Hear takes a notice, of this server or another.
func (s *Store) Hear(n Notice) {
	for _, id := range n.Cancelled {
		s.claims.cancel(id)
	}
	if n.Wake || n.Missed {
		s.db.Wake()
	}
	s.hub.publish(n)
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Backup writes a copy to a new file.
func (s *Store) Backup(ctx context.Context, path string) error { return s.db.Backup(ctx, path) }

// Close closes the database.
func (s *Store) Close() error { return s.db.Close() }

// Follow tells of changes until ctx ends.
func (s *Store) Follow(ctx context.Context, changed func(id string)) error {
	return s.hub.follow(ctx, changed)
}

// Stats counts what is live, and the dead letters.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	var st store.Stats
	err := s.db.Read(ctx, func(ctx context.Context, q Querier) error {
		var oldest int64
		if _, err := one(ctx, q, `SELECT (SELECT count(*) FROM records WHERE status = 'queued'),
 (SELECT count(*) FROM records WHERE status = 'running'), (SELECT count(*) FROM dead_letters),
 (SELECT coalesce(min(ready_at), 0) FROM records WHERE status = 'queued')`, nil,
			&st.Queued, &st.Running, &st.DeadLetters, &oldest); err != nil {
			return err
		}
		if oldest > 0 && oldest <= nanos(s.now()) {
			st.OldestQueued = time.Unix(0, oldest).UTC()
		}
		return nil
	})
	if err != nil {
		return store.Stats{}, wrap("counting", err)
	}
	if st.SizeBytes, err = s.db.SizeBytes(ctx); err != nil {
		return store.Stats{}, wrap("measuring the database", err)
	}
	return st, nil
}

// wrap says what was being done.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// invalid is what a caller got wrong.
func invalid(format string, args ...any) error {
	return job.Errorf(job.KindInvalid, format, args...)
}
