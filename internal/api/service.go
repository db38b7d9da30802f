package api

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"time"

	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// Service is what the API needs of the rest of tako. Every call that takes a
// Principal looks only at what that principal sees: the job of somebody else is
// store.ErrNotFound, as if it were not there. Errors are the sentinels of package
// store, those of this package, *job.Error (its Msg is shown to the caller
// where its kind is the caller's business), or anything else, which is a defect
// that is logged and not shown. Calls return soon after ctx ends.
type Service interface {
	Jobs
	JobLog
	Batches
	Keys
	Secrets
	Operations
	JobTypes
}

// Submission is a request to run something, valid as far as it can be told
// without looking at anything else.
type Submission struct {
	// Request is complete but for Files and for what job type and
	// configuration decide. Priority and Retry have their defaults.
	Request job.Request
	// Files become Request.Files.
	Files          []FileSource
	IdempotencyKey string // empty for none
	Caller
}

// Caller is where a request came from.
type Caller struct {
	CorrelationID string // 1 to 64 printable ASCII characters
	ClientIP      string // empty where unknown
}

// FileSource is an input file and one place to get it from: Artifact, Upload,
// Open, or else Content.
type FileSource struct {
	Path     string // relative, checked
	Content  []byte
	Artifact *ArtifactRef
	Upload   string // id
	Open     func() (io.ReadCloser, error)
}

// ArtifactRef names a file that another job left.
type ArtifactRef struct{ JobID, Name string }

// Derivation is what a rerun or a fork has otherwise than its parent.
type Derivation struct {
	Code    *string // of a fork
	JobType string  // empty: the parent's
	Timeout int     // seconds; 0: the parent's
	Caller
}

// Jobs are executions.
type Jobs interface {
	// Execute runs a job and answers its record when it has ended, whatever its
	// end. If ctx ends, it is cancelled. A repeat of an idempotency key waits for
	// the first. ErrConflict, ErrQueueFull.
	Execute(ctx context.Context, p job.Principal, s Submission) (job.Record, error)
	// Submit stores a job as queued, or answers the record of the same
	// idempotency key. ErrConflict, ErrQueueFull.
	Submit(ctx context.Context, p job.Principal, s Submission) (job.Record, error)
	Get(ctx context.Context, p job.Principal, id string) (job.Record, error)
	// Position is the place in the queue, from 1; 0 for what does not wait there.
	Position(ctx context.Context, p job.Principal, id string) (int, error)
	// Wait answers the record when it has ended, or ctx's error.
	Wait(ctx context.Context, p job.Principal, id string) (job.Record, error)
	// List passes records to each, newest first, or batches in their order, and
	// answers whether there are more. A few of them are in memory at once; an
	// error of each comes back. f.Owner is set for who does not see everything.
	List(ctx context.Context, p job.Principal, f store.Filter, each func(r *job.Record) error) (more bool, err error)
	// Cancel answers the record as it is then. ErrEnded.
	Cancel(ctx context.Context, p job.Principal, id string) (job.Record, error)
	// Delete removes a record that has ended, with its events and blobs.
	// ErrNotEnded.
	Delete(ctx context.Context, p job.Principal, id string) error
	// Rerun and Fork submit a job like another one. ErrNotEnded, ErrNoReplay,
	// ErrQueueFull.
	Rerun(ctx context.Context, p job.Principal, id string, d Derivation) (job.Record, error)
	Fork(ctx context.Context, p job.Principal, id string, d Derivation) (job.Record, error)
}

// JobLog is what jobs say and leave, and what they are given.
type JobLog interface {
	// Events answers what was logged after seq, in order. With follow it goes on
	// with what happens, until the end event or the end of ctx; without, it ends
	// with the last stored one. An error is the last thing it yields.
	Events(ctx context.Context, p job.Principal, id string, after int64, follow bool) iter.Seq2[job.Event, error]
	// OpenBlob opens content by its SHA-256. Who may see it was decided.
	// store.ErrNotFound where it is gone.
	OpenBlob(ctx context.Context, sha256 string) (io.ReadSeekCloser, error)
	// SaveUpload stores what content holds up to its end. If content fails,
	// nothing is stored and its error is wrapped.
	SaveUpload(ctx context.Context, p job.Principal, content io.Reader) (store.Upload, error)
}

// BatchSubmission is a request for a batch.
type BatchSubmission struct {
	Items          []Submission
	Labels         map[string]string
	WebhookURL     string
	IdempotencyKey string
	Caller
}

// Batches are groups of jobs.
type Batches interface {
	// SubmitBatch stores all or nothing. An *ItemError says which item is wrong.
	SubmitBatch(ctx context.Context, p job.Principal, b BatchSubmission) (store.Batch, error)
	Batch(ctx context.Context, p job.Principal, id string) (store.Batch, error)
	CancelBatch(ctx context.Context, p job.Principal, id string) (store.Batch, error)
}

// Keys are stored API keys.
type Keys interface {
	CreateKey(ctx context.Context, k job.Key) error
	ListKeys(ctx context.Context) ([]job.Key, error)
	DeleteKey(ctx context.Context, id string) error
}

// Secrets are values that jobs do not see. Names and values are checked by the
// service: an error of job.KindInvalid says what is wrong, without the value.
type Secrets interface {
	ListSecrets(ctx context.Context) ([]wire.Secret, error)
	SetSecret(ctx context.Context, name, value string) (*wire.Secret, error)
	DeleteSecret(ctx context.Context, name string) error
}

// Operations are for who runs the server.
type Operations interface {
	Health(ctx context.Context) Health
	// Accepting is nil where new work can be stored, and otherwise says why not.
	Accepting(ctx context.Context) error
	Pool(ctx context.Context) (Pool, error)
	// Sandboxes answers what waits on this server; zero without a pool.
	Sandboxes(ctx context.Context) Sandboxes
	DeadLetters(ctx context.Context, errorType string, limit, offset int) (list []store.DeadLetter, more bool, err error)
	DeadLetterStats(ctx context.Context) (map[string]int, error)
	DeleteDeadLetter(ctx context.Context, id int64) error
	// ReplayDeadLetter submits the job of a dead letter again and removes it.
	ReplayDeadLetter(ctx context.Context, p job.Principal, id int64, c Caller) (job.Record, error)
	// Deliveries answers webhooks, of one job or batch if jobID is not empty.
	Deliveries(ctx context.Context, p job.Principal, jobID string, limit, offset int) (list []store.Delivery, more bool, err error)
}

// Pool is what runs and waits.
type Pool struct{ Pending, Running, MaxWorkers, MaxQueueSize int }

// Sandboxes are those that wait, ready, and the counts since the start.
type Sandboxes struct {
	Ready, Making, Wanted, Max, Shapes int
	Hits, Misses, Made, Failed         int64
	Refill                             time.Duration // of the last one
	Memory                             int64         // bytes
}

// Health is how the server is. It is asked often, so it is known, not found out.
type Health struct {
	// Ready is false before the start is complete and after the stop began.
	Ready   bool
	Engine  Engine
	Breaker Breaker
	Pool    Pool
}

// Engine is the isolation engine.
type Engine struct {
	Name, Version, Platform, Isolation string
	Ready                              bool
}

// Breaker is the guard before the engine.
type Breaker struct {
	State               string // closed, open, half_open
	Failures, Successes int
	LastFailure         time.Time // zero for none
}

// JobType is a named environment as it is on this server.
type JobType struct {
	config.JobType
	Built bool
}

// Build is a built job type.
type Build struct {
	ID     string
	Digest string // the first 12 hexadecimal digits
	Tag    string
	At     time.Time
	By     string
}

// JobTypes are named environments. Names were checked; an unknown one is
// store.ErrNotFound.
type JobTypes interface {
	ListJobTypes(ctx context.Context) ([]JobType, error)
	JobType(ctx context.Context, name string) (JobType, error)
	// CreateJobType fails with ErrExists.
	CreateJobType(ctx context.Context, t config.JobType) (JobType, error)
	// ReplaceJobType creates what is not there.
	ReplaceJobType(ctx context.Context, t config.JobType) (JobType, error)
	DeleteJobType(ctx context.Context, name string) error
	// BuildJobType returns when it is built. A *job.Error says why it is not. What
	// is done is written to log meanwhile; errors of that are of no account.
	BuildJobType(ctx context.Context, name, tag string, log io.Writer) (Build, error)
	JobTypeVersions(ctx context.Context, name string) ([]Build, error)
	// BuildLog is text.
	BuildLog(ctx context.Context, name, buildID string) (io.ReadCloser, error)
	// BuildLock is store.ErrNotFound for a build without packages.
	BuildLock(ctx context.Context, name, buildID string) (Lock, error)
}

// Lock says what exactly a build installed: lock files of the installers, empty
// where there is nothing of the kind.
type Lock struct {
	Python string          // a requirements.txt with hashes
	NPM    json.RawMessage // a package-lock.json
}

// rawOr answers raw, or what else there is for nothing.
func rawOr(raw json.RawMessage, otherwise string) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage(otherwise)
	}
	return raw
}
