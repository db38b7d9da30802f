package entry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"
)

const (
	kind = "attempt" // of every entry
	// maxWorkers is River's own bound; what runs at once is the slots' affair.
	maxWorkers = 10_000
	// pollInterval finds entries whose notification was lost.
	pollInterval = time.Second
	// clockDifference is how far ahead the time of an available entry may be.
	clockDifference = 24 * time.Hour
	// cooldown is River's least time between two fetches.
	cooldown = time.Millisecond
)

// Entry is a place in the queue that is to be made.
type Entry struct {
	Record   string // id
	Owner    string // whose it is: entries of each are taken for themselves
	Priority int    // 1 first, 4 last
	// At is when it may be taken; entries of one priority are taken in the
	// order of their At. Zero is now.
	At time.Time
	// Held entries wait outside the queue until they are let in.
	Held bool
}

// Taken is an entry that was locked by Take and is on its way to a worker.
type Taken struct {
	ID  int64
	row *rivertype.JobRow
}

// Queue is River on one database, whose transactions are of type T. Its methods
// may be called from any goroutine.
type Queue[T any] struct {
	driver riverdriver.Driver[T]
	client *river.Client[T] // inserts only
	logger *slog.Logger
	wake   chan struct{}
}

// New returns the queue of a database that Migrate was called for. A nil logger
// discards; River's own lines are of use to nobody below warnings.
func New[T any](driver riverdriver.Driver[T], logger *slog.Logger) (*Queue[T], error) {
	if logger == nil {
		logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	logger = slog.New(atLeast{logger.Handler(), slog.LevelWarn})
	client, err := river.NewClient(riverdriver.Driver[T](silent[T]{driver}), &river.Config{Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("opening the queue: %w", err)
	}
	return &Queue[T]{driver: driver, client: client, logger: logger, wake: make(chan struct{}, 1)}, nil
}

// Migrate brings River's tables up to date. Servers that start at once must not
// call it at once.
func Migrate[T any](ctx context.Context, driver riverdriver.Driver[T]) error {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		return fmt.Errorf("migrating the queue: %w", err)
	}
	if _, err := m.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("migrating the queue: %w", err)
	}
	return nil
}

// attempt is what an entry holds.
type attempt struct {
	Record string `json:"record"`
}

func (attempt) Kind() string { return kind }

// Insert makes entries in the caller's transaction and returns their numbers by
// record.
func (q *Queue[T]) Insert(ctx context.Context, tx T, entries []Entry) (map[string]int64, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	params := make([]river.InsertManyParams, len(entries))
	for i, e := range entries {
		params[i] = river.InsertManyParams{Args: attempt{Record: e.Record}, InsertOpts: &river.InsertOpts{
			Queue: QueueOf(e.Owner), MaxAttempts: 1, Priority: e.Priority, ScheduledAt: e.At, Pending: e.Held,
		}}
	}
	results, err := q.client.InsertManyTx(ctx, tx, params)
	if err != nil {
		return nil, fmt.Errorf("inserting entries: %w", err)
	}
	ids := make(map[string]int64, len(results))
	for i, r := range results {
		var a attempt
		if err := json.Unmarshal(r.Job.EncodedArgs, &a); err != nil {
			return nil, fmt.Errorf("reading entry %d of %d: %w", i+1, len(results), err)
		}
		ids[a.Record] = r.Job.ID
	}
	if len(ids) != len(entries) {
		return nil, fmt.Errorf("%d entries were asked for and %d made", len(entries), len(ids))
	}
	return ids, nil
}

// QueueOf names the queue of an owner, as river_job.queue has it.
func QueueOf(owner string) string {
	if owner == "" {
		return river.QueueDefault
	}
	sum := sha256.Sum256([]byte(owner)) // River allows few characters
	return "of-" + hex.EncodeToString(sum[:12])
}

// Take locks up to n entries of a queue that may run, the most urgent first, in
// the caller's transaction: nobody else gets them.
func (q *Queue[T]) Take(ctx context.Context, tx T, queue string, n int) ([]Taken, error) {
	// What is available may run, whatever its time says: the clock of whoever made
	// it, the database's and this one's differ, and any may be set back.
	now := time.Now().Add(clockDifference)
	res, err := q.driver.UnwrapExecutor(tx).JobGetAvailable(ctx, &riverdriver.JobGetAvailableParams{
		ClientID: q.client.ID(), MaxAttemptedBy: 1, MaxToLock: n, Now: &now, Queue: queue,
	})
	if err != nil {
		return nil, fmt.Errorf("taking entries: %w", err)
	}
	taken := make([]Taken, len(res.Jobs))
	for i, row := range res.Jobs {
		taken[i] = Taken{ID: row.ID, row: row}
	}
	return taken, nil
}

// Promote lets up to n entries into the queue whose time has come, and returns
// how many it did.
func (q *Queue[T]) Promote(ctx context.Context, tx T, n int) (int, error) {
	res, err := q.driver.UnwrapExecutor(tx).JobSchedule(ctx, &riverdriver.JobScheduleParams{Max: n})
	if err != nil {
		return 0, fmt.Errorf("letting scheduled entries in: %w", err)
	}
	return len(res), nil
}

// Wake has the entries fetched that a commit made available. It never blocks.
func (q *Queue[T]) Wake() {
	select {
	case q.wake <- struct{}{}:
	default: // one signal fetches all there is
	}
}
