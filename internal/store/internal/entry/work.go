package entry

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivertype"
)

// Feed is the store's side of Work.
type Feed interface {
	// Fetch returns entries that were taken and claimed; none when there is
	// nothing to do. It may wait for a slot, and returns at once when ctx ends.
	Fetch(ctx context.Context) ([]Taken, error)
	// Run runs the claim of an entry to its end.
	Run(ctx context.Context, id int64)
}

// Work runs what feed fetches, each entry in a goroutine of its own, until ctx
// ends and the last Run has returned. The contexts of Runs do not end with ctx.
func (q *Queue[T]) Work(ctx context.Context, feed Feed) error {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{feed: feed})
	fetch := func(context.Context) ([]*rivertype.JobRow, error) {
		taken, err := feed.Fetch(ctx)
		rows := make([]*rivertype.JobRow, len(taken))
		for i, t := range taken {
			rows[i] = t.row
		}
		return rows, err
	}
	client, err := river.NewClient(riverdriver.Driver[T](working[T]{silent[T]{q.driver}, q.wake, fetch}), &river.Config{
		FetchCooldown: cooldown, FetchPollInterval: pollInterval,
		JobTimeout: -1, LeaderElectionDisabled: true, Logger: q.logger,
		Queues: map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: maxWorkers}}, Workers: workers,
	})
	if err != nil {
		return fmt.Errorf("making workers: %w", err)
	}
	lasting := context.WithoutCancel(ctx)
	if err := client.Start(lasting); err != nil {
		return fmt.Errorf("starting workers: %w", err)
	}
	<-ctx.Done()
	if err := client.Stop(lasting); err != nil {
		return fmt.Errorf("stopping workers: %w", err)
	}
	return nil
}

type worker struct {
	river.WorkerDefaults[attempt]
	feed Feed
}

func (w *worker) Work(ctx context.Context, j *river.Job[attempt]) error {
	w.feed.Run(ctx, j.ID)
	return nil
}

// silent keeps River from writing notifications: Wake replaces them.
type silent[T any] struct{ riverdriver.Driver[T] }

func (silent[T]) SupportsListenNotify() bool { return false }

// working is what a working client sees of the database.
type working[T any] struct {
	silent[T]
	wake  <-chan struct{}
	fetch func(context.Context) ([]*rivertype.JobRow, error)
}

func (d working[T]) SupportsListener() bool { return true }

func (d working[T]) GetListener(p *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &listener{schema: p.Schema, wake: d.wake}
}

func (d working[T]) GetExecutor() riverdriver.Executor {
	return executor{d.silent.GetExecutor(), d.fetch}
}

// executor answers the two calls that the store has an interest in.
type executor struct {
	riverdriver.Executor
	fetch func(context.Context) ([]*rivertype.JobRow, error)
}

func (e executor) JobGetAvailable(ctx context.Context, _ *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	rows, err := e.fetch(ctx)
	if err != nil {
		return nil, err
	}
	return &riverdriver.JobGetAvailableResult{Jobs: rows}, nil
}

// JobSetStateIfRunningMany stores nothing: the entry went when its record did.
// River is told what it is told of jobs that were deleted meanwhile: no rows.
func (e executor) JobSetStateIfRunningMany(context.Context, *riverdriver.JobSetStateIfRunningManyParams) ([]*rivertype.JobRow, error) {
	return nil, nil
}

// listener tells River's producer of new entries when it is signalled.
type listener struct {
	schema string
	wake   <-chan struct{}
}

func (l *listener) Close(context.Context) error            { return nil }
func (l *listener) Connect(context.Context) error          { return nil }
func (l *listener) Listen(context.Context, string) error   { return nil }
func (l *listener) Unlisten(context.Context, string) error { return nil }
func (l *listener) Ping(context.Context) error             { return nil }
func (l *listener) Schema() string                         { return l.schema }
func (l *listener) SetAfterConnectExec(string)             {}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.wake:
		return &riverdriver.Notification{Topic: "river_insert", Payload: `{"queue":"` + river.QueueDefault + `"}`}, nil
	}
}

// atLeast passes records of a level and above.
type atLeast struct {
	slog.Handler
	level slog.Level
}

func (h atLeast) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= h.level && h.Handler.Enabled(ctx, l)
}

func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.Handler.WithAttrs(attrs), h.level}
}

func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.Handler.WithGroup(name), h.level}
}
