package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/takovm/tako/internal/store/internal/entry"
)

// Querier reads.
type Querier interface {
	// Each calls row for every row of the answer, until it fails.
	Each(ctx context.Context, query string, args []any, row func(scan Scan) error) error
}

// Scan copies the columns of a row.
type Scan func(dest ...any) error

// Tx is a transaction.
type Tx interface {
	Querier
	// Exec returns how many rows it changed.
	Exec(ctx context.Context, query string, args ...any) (int64, error)
	// Do is Exec where nobody asks for the number. The statement may go with a
	// later one, or with the commit, and what is wrong with it be their error.
	Do(ctx context.Context, query string, args ...any) error

	// InsertEntries, TakeEntries and PromoteEntries are entry.Queue's methods in
	// this transaction.
	InsertEntries(ctx context.Context, entries []entry.Entry) (map[string]int64, error)
	TakeEntries(ctx context.Context, queue string, n int) ([]entry.Taken, error)
	PromoteEntries(ctx context.Context, n int) (int, error)
	// Locking ends a SELECT whose rows nobody else may change until the end of
	// this transaction: " FOR UPDATE", or nothing where there is one writer.
	Locking() string
}

// Database is a driver.
type Database interface {
	// Write runs fn in a transaction and commits it if fn returns nil. It may run
	// fn again in another one after a failure that passes. Errors of the
	// database come back as *job.Error, those of fn as they are, and what ends
	// because ctx does as its error.
	Write(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// Read runs fn on what is committed.
	Read(ctx context.Context, fn func(ctx context.Context, q Querier) error) error
	// Work and Wake are entry.Queue's.
	Work(ctx context.Context, feed entry.Feed) error
	Wake()
	// Tell passes a notice on to the other servers, soon; it does not block.
	Tell(Notice)

	Ping(ctx context.Context) error
	// Clock is the time of the machine that the database is on; zero where
	// that is this one.
	Clock(ctx context.Context) (time.Time, error)
	Backup(ctx context.Context, path string) error
	SizeBytes(ctx context.Context) (int64, error)
	Close() error
}

// Notice is what servers tell each other after a commit.
type Notice struct {
	Changed   []string `json:"changed,omitempty"`   // records
	Cancelled []string `json:"cancelled,omitempty"` // records that run and were asked to end
	Wake      bool     `json:"wake,omitempty"`      // there are entries to take
	Missed    bool     `json:"-"`                   // notices may have been lost
}

func (n Notice) empty() bool {
	return len(n.Changed) == 0 && len(n.Cancelled) == 0 && !n.Wake && !n.Missed
}

// one reads one row, and reports whether there was one.
func one(ctx context.Context, q Querier, query string, args []any, dest ...any) (found bool, err error) {
	err = q.Each(ctx, query, args, func(scan Scan) error {
		found = true
		return scan(dest...)
	})
	return found, err
}

// instant scans nanoseconds into a time.
type instant struct{ t *time.Time }

func (i instant) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("an instant is a %T", src)
	}
	*i.t = time.Time{}
	if n != 0 {
		*i.t = time.Unix(0, n).UTC()
	}
	return nil
}

// nanos is the reverse of instant.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// truth scans 0 and 1 into a bool.
type truth struct{ b *bool }

func (t truth) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return fmt.Errorf("a truth is a %T", src)
	}
	*t.b = n != 0
	return nil
}

// bit is the reverse of truth.
func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
