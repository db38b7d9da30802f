// Package store is the contract of what keeps records, their event logs and the
// queue. Its drivers are sqlite (one file, the default) and postgres; storetest
// is the suite that each of them passes.
//
// # Vocabulary
//
// A record is one execution (job.Record). An entry is its place in the queue:
// a job of River's, inserted and completed in the same transaction as the
// record. A claim is the right to run one attempt, held by one server under a
// lease that it renews; a claim whose lease has run out belongs to nobody. A
// node is one server process.
//
// # What holds
//
// What a call has returned without an error is on disk (SQLite: synchronous
// FULL in WAL mode; PostgreSQL: synchronous_commit on). A record that has ended
// is never changed. A record whose status is queued has exactly one entry; one
// that is running has exactly one claim. Two servers never hold a claim of the
// same record whose leases both stand.
//
// A claim is of one attempt in one life of a server: what a server that was
// started again under the same name reports for its earlier life is refused.
//
// Statuses are told in the log by the store itself: taking a claim appends a
// status event {"status": "running"}, giving one back {"status": "queued"}, and
// every end, whoever brings it about, the end event {"status": "..."}, in the
// transaction that makes it so. A log has one end event, its last.
//
// # Errors
//
// Every error is a *job.Error, wraps one of the sentinels below, or is the
// context's. A database that cannot be reached, is silent for 15 seconds, is
// locked for too long or is full is job.KindUnavailable, and nothing was changed,
// with one exception that no database can avoid: a connection that breaks during
// the commit leaves open whether it happened. Asking again settles it: Submit by
// its idempotency key or record id, Finish by ErrEnded, the rest by being
// repeatable.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/takovm/tako/internal/job"
)

var (
	// ErrNotFound is answered for what is not there.
	ErrNotFound = errors.New("not found")
	// ErrQueueFull refuses a submission; nothing was stored.
	ErrQueueFull = errors.New("the queue is full")
	// ErrConflict refuses an idempotency key that was used for something else.
	ErrConflict = errors.New("idempotency key reused with different payload")
	// ErrExists refuses a second job type of a name.
	ErrExists = errors.New("it exists already")
	// ErrEnded refuses to change a record that has ended.
	ErrEnded = errors.New("the job has ended")
	// ErrLost is answered to whoever reports on a claim that is no longer theirs.
	ErrLost = errors.New("the claim is held by another server")
)

// Store is a database.
type Store interface {
	Records
	Queue
	Events
	Batches
	Keys
	DeadLetters
	Deliveries
	Uploads
	JobTypes
	Secrets

	// Ping reports whether the database answers.
	Ping(ctx context.Context) error
	// Backup writes a consistent copy to path, a new file, while others go on.
	// PostgreSQL has pg_dump for that and answers job.KindInvalid.
	Backup(ctx context.Context, path string) error
	// Stats counts for metrics.
	Stats(ctx context.Context) (Stats, error)
	Close() error
}

// Stats are counts of now.
type Stats struct {
	Queued, Running int
	// OldestQueued is when the record that waits longest became ready to run.
	OldestQueued time.Time
	DeadLetters  int
	SizeBytes    int64 // of the database, where it can be told
}

// Records are executions.
type Records interface {
	Get(ctx context.Context, id string) (job.Record, error)
	// Status is where a record stands: of Get what is cheap to ask often.
	Status(ctx context.Context, id string) (job.Status, error)
	// List answers records newest first, and whether there are more. It is for
	// few records or for small ones: all of them are in memory at once.
	List(ctx context.Context, f Filter) (records []job.Record, more bool, err error)
	// ListEach is List for records of any number and size: a few megabytes of
	// them are in memory at once. They are passed to each one after the other;
	// those that are removed meanwhile are left out. An error of each ends it
	// and comes back as it is.
	ListEach(ctx context.Context, f Filter, each func(r *job.Record) error) (more bool, err error)
	// Begin stores a sync record as running and returns its claim, which Finish
	// ends. With an idempotency key that was used before for the same
	// fingerprint it stores nothing and returns the record of then; for another
	// one, ErrConflict.
	Begin(ctx context.Context, r job.Record, node Node) (c Claim, existing *job.Record, err error)
	// ByKey answers the record that an owner's idempotency key made.
	// ErrNotFound.
	ByKey(ctx context.Context, owner, key string) (job.Record, error)
	// Delete removes a record that has ended, with its events and deliveries.
	// ErrNotFound, or job.KindInvalid for one that has not ended. A large log
	// goes before its record, a part at a time, so that others can write.
	Delete(ctx context.Context, id string) error
	// DeleteBefore removes up to limit records that ended before t, and returns
	// how many it removed; batches go when none of their records is left. It
	// takes several short transactions, and what it did before an error stays.
	DeleteBefore(ctx context.Context, t time.Time, limit int) (int, error)
	// Blobs reports which of the digests some record, upload or dead letter
	// still refers to.
	Blobs(ctx context.Context, digests []string) (used map[string]bool, err error)
}

// Filter chooses records. Empty fields choose all.
type Filter struct {
	Owner    *string // nil is everybody's
	Status   string  // unknown ones match nothing
	JobType  string
	BatchID  string
	ParentID string
	Labels   map[string]string // all of them
	Limit    int               // at least 1
	Offset   int
	// Ascending lists oldest first, batches by their index.
	Ascending bool
	// NoRequest and NoOutcome leave these parts of the records empty: they are
	// what makes records large.
	NoRequest, NoOutcome bool
}

// Queue is how jobs wait and are handed out.
type Queue interface {
	// Submit stores records as queued, each with its entry, all or none, in one
	// transaction. Where a record's idempotency key was used before (per owner)
	// for the same fingerprint, the record of then is returned in its place; for
	// another, the error is ErrConflict. ErrQueueFull when more than max would
	// wait; max 0 is no bound. Between several servers the bound is kept within
	// what they accept in 100 ms. Those whose RunAt is more than a minute away
	// do not count until then; of them ErrQueueFull is the answer when their
	// owner would have more than half of max. Ids that are taken are
	// job.KindInvalid.
	Submit(ctx context.Context, records []job.Record, max int) ([]job.Record, error)
	// Work hands out claims to handle, each in a goroutine of its own, until ctx
	// ends; it returns when the last handle has returned. Before it takes an
	// entry from the queue it acquires a slot from slots. Of owners that have
	// something waiting, the one whose jobs run least is next; among an owner's
	// entries priority decides, then age; those with RunAt in the future wait. A
	// handle that returns without Finish, GiveUp, Retry or Release has its claim
	// released as interrupted, to run again after a second, until it was
	// interrupted more than node.MaxInterruptions times. The context of a
	// handle does not end with ctx: that one says take no more. One call at a
	// time. An error means that work could not be started.
	Work(ctx context.Context, node Node, slots Slots, handle func(ctx context.Context, c Claim)) error
	// Renew extends the leases of the claims this store handed out, sync ones
	// included. Call it several times per lease. Those that are no longer the
	// node's, or were asked to end, have Cancelled closed.
	Renew(ctx context.Context, node string, lease time.Time) error
	// Finish ends a record with that outcome, and its entry, in one
	// transaction, and schedules what follows: the webhook's delivery, its
	// batch's end. The events more come before the end event. ErrLost, ErrEnded,
	// ErrNotFound.
	Finish(ctx context.Context, c Claim, status job.Status, out job.Outcome, more ...job.Event) error
	// GiveUp is Finish for a record that tako could not bring to an end of its
	// own: a dead letter of it is kept in the same transaction.
	GiveUp(ctx context.Context, c Claim, status job.Status, out job.Outcome, more ...job.Event) error
	// NextAttempt ends an attempt of a sync record that failed for the
	// infrastructure's sake and begins the next under the same lease; the claim
	// it returns takes the place of c. Errors as of Finish; ErrEnded, too, where
	// the record's end was asked for.
	NextAttempt(ctx context.Context, c Claim, failure job.Failure) (Claim, error)
	// Forget renews a claim no more whose end cannot be stored: its lease runs
	// out and Recover acts.
	Forget(c Claim)
	// Retry puts a record back into the queue after an attempt that failed for
	// the infrastructure's sake, to run at or after at. One whose end was asked
	// for ends as cancelled instead. ErrLost, ErrEnded, ErrNotFound.
	Retry(ctx context.Context, c Claim, failure job.Failure, at time.Time) error
	// Release puts a record back because its server stops: an interruption, not
	// an attempt. It keeps its place among those of its priority. One whose end
	// was asked for ends as cancelled, a sync one as interrupted. Errors as of
	// Retry.
	Release(ctx context.Context, c Claim) error
	// Cancel ends a queued record at once, or marks a running one: its node
	// hears of it through Cancelled. It returns the record as it is then.
	// ErrNotFound, ErrEnded.
	Cancel(ctx context.Context, id string) (job.Record, error)
	// Recover takes back the claims of dead nodes: those whose lease ended
	// before now, and all of node's own from an earlier life. Queued records
	// run again until they were interrupted more than limit times, and are kept
	// as dead letters then; sync ones, and those with job.RetryNever, fail as
	// interrupted. It returns what it
	// changed. Call it at the start, and then about once per lease.
	Recover(ctx context.Context, node string, now time.Time, limit int) ([]job.Record, error)
	// Position is how many entries of its owner would be taken before this one,
	// counted from 1; 0 if it does not wait. One that waits for its RunAt counts those
	// that may run already.
	Position(ctx context.Context, id string) (int, error)
	// Follow calls changed with the id of every record that changed on any
	// node, soon after the change was committed, until ctx ends. Ids may be
	// repeated; "" means that some may have been missed. The first call is
	// changed(""): nothing that is committed after it goes unnoticed.
	Follow(ctx context.Context, changed func(id string)) error
}

// Node is a server process.
type Node struct {
	Name string // unique among live ones
	// Lease is how long a claim stands without being renewed.
	Lease time.Duration
	// MaxInterruptions is how often a claim that nobody reported on is given
	// back before its record fails; 0 is no bound.
	MaxInterruptions int
}

// Slots bound what runs at once.
type Slots interface {
	// Acquire waits for a slot. The release may be called once.
	Acquire(ctx context.Context) (release func(), err error)
	// TryAcquire takes a slot if one is free now: claims that share a
	// transaction share its cost.
	TryAcquire() (release func(), ok bool)
}

// Claim is the right to run one attempt.
type Claim struct {
	Record job.Record // as it is now: running, this attempt
	Node   string
	// Cancelled is closed when somebody asks for the end of this job, and when
	// the claim is found to be lost.
	Cancelled <-chan struct{}
	// MaxLog is Append's max for the events that Finish and GiveUp add.
	MaxLog int64
}

// Events are the logs of jobs.
type Events interface {
	// Append adds events to the log of a running job. Their Seq is given by
	// the store, and their Attempt (as in Record.Attempts) where it is less than 0. Of events with a
	// Said that is not beyond the largest one of the claim nothing is stored:
	// after a failure that left open whether they are, they can be said again.
	// That goes for Finish, too. Beyond max bytes of
	// data in all (0 is no bound) it adds one job.EventTruncated and then
	// nothing but status and end events. ErrLost, ErrEnded, ErrNotFound.
	Append(ctx context.Context, c Claim, events []job.Event, max int64) error
	// Events answers up to limit events after seq, in order.
	Events(ctx context.Context, id string, after int64, limit int) ([]job.Event, error)
}

// Batch is a group of jobs that were submitted together.
type Batch struct {
	ID             string
	Owner          string
	Total          int
	Status         string // running, finished, cancelled
	Counts         map[job.Status]int
	Labels         map[string]string
	WebhookURL     string
	IdempotencyKey string
	Fingerprint    string
	CreatedAt      time.Time
	EndedAt        time.Time
}

// Batches are groups of jobs.
type Batches interface {
	// SubmitBatch stores a batch and its records, all or none. Those beyond
	// half of what the queue takes (max, 0 is no bound) wait in the store as
	// queued and are fed into it as it drains, of each owner in turn. An idempotency key works as with Submit;
	// those of the records are refused (job.KindInvalid).
	SubmitBatch(ctx context.Context, b Batch, records []job.Record, max int) (Batch, error)
	Batch(ctx context.Context, id string) (Batch, error)
	// CancelBatch ends what waits and marks what runs. ErrNotFound; ErrEnded
	// where nothing of it was left.
	CancelBatch(ctx context.Context, id string) (Batch, error)
}

// Keys are stored API keys.
type Keys interface {
	CreateKey(ctx context.Context, k job.Key) error
	KeyByHash(ctx context.Context, hash []byte) (job.Key, error)
	Key(ctx context.Context, id string) (job.Key, error)
	ListKeys(ctx context.Context) ([]job.Key, error)
	DeleteKey(ctx context.Context, id string) error
	TouchKey(ctx context.Context, id string, at time.Time) error
}

// JobType is one that was made over the API. What it means is not the store's
// business.
type JobType struct {
	Name       string
	Definition json.RawMessage
	ChangedAt  time.Time
}

// Version is a build of a job type: of a stored one, or of the configuration's.
type Version struct {
	Name string
	// Digest is of all that the version is, in lower-case hexadecimal; it is its
	// own within the name.
	Digest string
	// Number counts a name's versions from 1; the store gives it.
	Number int
	// Tag is a name that the builder gave it, which a later version of the same
	// name takes away; empty for none.
	Tag        string
	Definition json.RawMessage // of the type, as it was built
	BuiltAt    time.Time
	BuiltBy    string
	Log        string
}

// JobTypes are what is not in the configuration file.
type JobTypes interface {
	// PutJobType stores a type, or changes it. With create, ErrExists for one
	// that is there.
	PutJobType(ctx context.Context, t JobType, create bool) error
	// DeleteJobType removes a type, and nothing of its versions: jobs may be
	// repeated in them. ErrNotFound.
	DeleteJobType(ctx context.Context, name string) error
	// ListJobTypes answers all, by name.
	ListJobTypes(ctx context.Context) ([]JobType, error)
	// AddVersion stores a version and returns it with its number. One whose
	// digest is there already keeps its number and gets tag, time and log.
	AddVersion(ctx context.Context, v Version) (Version, error)
	// Versions answers those of a name, newest first, without logs.
	Versions(ctx context.Context, name string) ([]Version, error)
	// Version answers the one whose digest begins with ref (12 digits at least),
	// without its log, else the one with that tag, else number n for the ref "v<n>". ErrNotFound; job.KindInvalid
	// where several begin so.
	Version(ctx context.Context, name, ref string) (Version, error)
	// VersionLog answers what the build with that digest said. ErrNotFound.
	VersionLog(ctx context.Context, name, digest string) (string, error)
}

// Secret is a value that only whoever has the key can read.
type Secret struct {
	Name      string
	Sealed    []byte
	ChangedAt time.Time
}

// Secrets are sealed values. The key is not in the database.
type Secrets interface {
	// PutSecret stores one, or changes it.
	PutSecret(ctx context.Context, s Secret) error
	Secret(ctx context.Context, name string) (Secret, error) // ErrNotFound
	ListSecrets(ctx context.Context) ([]Secret, error)       // by name
	DeleteSecret(ctx context.Context, name string) error     // ErrNotFound
}

// DeadLetter is a job that tako could not bring to an end of its own.
type DeadLetter struct {
	ID            int64
	JobID         string
	JobData       []byte // JSON, the redacted summary
	ErrorType     string
	ErrorMessage  string
	RetryCount    int
	CreatedAt     time.Time
	ClientIP      string
	CorrelationID string
	Owner         string
}

// NewDeadLetter is what is kept of a record that was given up: what it was,
// without code and input.
func NewDeadLetter(r *job.Record, failure job.Failure, at time.Time) DeadLetter {
	data := map[string]any{
		"job_type": r.JobType, "code_hash": r.CodeHash, "input_hash": r.InputHash,
		"code_size_bytes": len(r.Request.Code), "input_size_bytes": len(r.Request.Input),
		"has_idempotency_key": r.IdempotencyKey != "",
	}
	for name, v := range map[string]int{"timeout": r.Request.Timeout, "startup_timeout": r.Request.StartupTimeout} {
		if v != 0 {
			data[name] = v
		}
	}
	if len(r.Request.Requirements) > 0 {
		data["requirements"] = r.Request.Requirements
	}
	for name, v := range map[string]string{"correlation_id": r.CorrelationID, "parent_execution_id": r.ParentID} {
		if v != "" {
			data[name] = v
		}
	}
	text, err := json.Marshal(data)
	if err != nil {
		panic("store: " + err.Error()) // strings and numbers cannot fail
	}
	return DeadLetter{
		JobID: r.ID, JobData: text, ErrorType: failure.Type, ErrorMessage: failure.Message,
		RetryCount: r.Attempt, CreatedAt: at, ClientIP: r.ClientIP, CorrelationID: r.CorrelationID, Owner: r.Owner,
	}
}

// DeadLetters are kept apart from the records they are about.
type DeadLetters interface {
	AddDeadLetter(ctx context.Context, d DeadLetter) error
	DeadLetters(ctx context.Context, errorType string, limit, offset int) (list []DeadLetter, more bool, err error)
	DeadLetter(ctx context.Context, id int64) (DeadLetter, error)
	DeadLetterStats(ctx context.Context) (map[string]int, error)
	DeleteDeadLetter(ctx context.Context, id int64) error
	DeleteDeadLettersBefore(ctx context.Context, t time.Time) (int, error)
}

// Delivery is a webhook that is due, was delivered or was given up.
type Delivery struct {
	ID          string
	JobID       string // or
	BatchID     string
	Owner       string
	URL         string
	Status      string // pending, delivered, failed
	Tries       int
	NextAt      time.Time
	LastStatus  int // of HTTP; 0 before an answer
	LastError   string
	CreatedAt   time.Time
	DeliveredAt time.Time
}

// Deliveries are webhooks. Finish and the end of a batch make them.
type Deliveries interface {
	// ClaimDelivery returns one that is due and hides it for lease; ErrNotFound
	// when none is but those of the owners in except. How many an owner has does
	// not matter to the others.
	ClaimDelivery(ctx context.Context, now time.Time, lease time.Duration, except ...string) (Delivery, error)
	// SaveDelivery stores the outcome of a try.
	SaveDelivery(ctx context.Context, d Delivery) error
	// ListDeliveries answers newest first, those of a job or batch where id is
	// not empty, those of an owner where that is not nil.
	ListDeliveries(ctx context.Context, owner *string, id string, limit, offset int) (list []Delivery, more bool, err error)
}

// Upload is a file that was sent ahead of the job that wants it.
type Upload struct {
	ID        string
	Owner     string
	SizeBytes int64
	SHA256    string
	CreatedAt time.Time
}

// Uploads are kept for a day.
type Uploads interface {
	AddUpload(ctx context.Context, u Upload) error
	Upload(ctx context.Context, id string) (Upload, error)
	DeleteUploadsBefore(ctx context.Context, t time.Time) (int, error)
}
