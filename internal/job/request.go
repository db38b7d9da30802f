package job

import (
	"encoding/json"
	"time"
)

// Request is what a caller asked for, valid and complete: all that is needed to
// run it again exactly. It never changes once it was accepted.
type Request struct {
	Code     string `json:"code"`
	Language string `json:"language"` // "python", "node", "bash"
	// Input is the JSON object that /input/data.json will hold, as it came.
	Input json.RawMessage   `json:"input"`
	Args  []string          `json:"args,omitempty"`
	Env   map[string]string `json:"env,omitempty"`
	Stdin *string           `json:"stdin,omitempty"` // nil is an empty one
	Files []InputFile       `json:"files,omitempty"`
	// JobType is the type as asked for, with version: "name", "name@v1",
	// "name@sha256:...". Empty is the default type.
	JobType      string   `json:"job_type,omitempty"`
	Requirements []string `json:"requirements,omitempty"`
	// Timeout and StartupTimeout are in seconds; 0 is the job type's.
	Timeout        int          `json:"timeout,omitempty"`
	StartupTimeout int          `json:"startup_timeout,omitempty"`
	Limits         LimitRequest `json:"limits,omitzero"`
	Network        *Network     `json:"network,omitempty"` // nil is the job type's
	Image          string       `json:"image,omitempty"`
	Priority       int          `json:"priority"` // 1 runs first, 4 last; default 2
	Retry          Retry        `json:"retry"`
	// RunAt is when the job may start; zero is at once.
	RunAt time.Time `json:"run_at,omitzero"`
	// CancelOnDisconnect ends a sync job whose caller is gone.
	CancelOnDisconnect bool              `json:"cancel_on_disconnect,omitempty"`
	Labels             map[string]string `json:"labels,omitempty"`
	WebhookURL         string            `json:"webhook_url,omitempty"`

	// What follows was not asked for: it is what the rest meant when the job
	// was accepted, so that it means the same when the job is run again.

	// Type is the job type as it was then; nil where there was none.
	Type *Type `json:"type,omitempty"`
	// Environment is the digest of the environment to run in, of a job that
	// repeats another; empty is the one of the day.
	Environment string `json:"environment,omitempty"`
}

// InputFile is one file below /input. Its content is a blob.
type InputFile struct {
	Path      string `json:"path"` // relative, '/' between parts
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"` // names the blob; lower-case hex
}

// LimitRequest asks for limits other than the job type's; a nil field does not.
// Memory, Disk, Stdout, Stderr and Artifact are in bytes.
type LimitRequest struct {
	Memory   *int64   `json:"memory,omitempty"`
	CPUs     *float64 `json:"cpus,omitempty"`
	PIDs     *int     `json:"pids,omitempty"`
	Disk     *int64   `json:"disk,omitempty"`
	Stdout   *int64   `json:"stdout_bytes,omitempty"`
	Stderr   *int64   `json:"stderr_bytes,omitempty"`
	Artifact *int64   `json:"artifact_bytes,omitempty"`
}

// Retry says which failures are tried again.
type Retry string

const (
	RetryInfrastructure Retry = "infrastructure" // the default: never the program's own failures
	RetryNever          Retry = "never"          // nothing, an interruption included
)

// Relationship is how a job came from its parent.
type Relationship string

const (
	Rerun Relationship = "rerun"
	Fork  Relationship = "fork"
)
