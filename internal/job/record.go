package job

import (
	"encoding/json"
	"time"
)

// Record is one execution: what was asked, where it stands and what came of it.
// It is what a store keeps. A record that ended never changes, but for being
// removed.
type Record struct {
	ID string `json:"execution_id"` // UUID; of a sync one "api-" and a UUID
	// Sync records were never in the queue: they begin as running.
	Sync bool `json:"sync,omitempty"`
	// Owner is the stored API key it belongs to; empty without authentication
	// and for keys of the configuration.
	Owner         string       `json:"owner,omitempty"`
	BatchID       string       `json:"batch_id,omitempty"`
	BatchIndex    int          `json:"batch_index,omitempty"`
	ParentID      string       `json:"parent_execution_id,omitempty"`
	Relationship  Relationship `json:"relationship,omitempty"`
	CorrelationID string       `json:"correlation_id,omitempty"`
	ClientIP      string       `json:"client_ip,omitempty"`
	// IdempotencyKey is unique for its owner; Fingerprint is of what was asked
	// under it.
	IdempotencyKey string  `json:"idempotency_key,omitempty"`
	Fingerprint    string  `json:"idempotency_fingerprint,omitempty"`
	Request        Request `json:"request"`
	// CodeHash and InputHash are SHA-256 in hex, of the code and of the
	// canonical form of the input.
	CodeHash  string `json:"code_hash"`
	InputHash string `json:"input_hash"`

	Status Status `json:"status"`
	// JobType is the resolved name, JobRef name and version.
	JobType   string    `json:"job_type"`
	JobRef    string    `json:"job_ref"`
	CreatedAt time.Time `json:"created_at"`
	QueuedAt  time.Time `json:"queued_at,omitzero"`
	StartedAt time.Time `json:"started_at,omitzero"` // of the last attempt
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Attempt counts from 0. Interruptions are attempts that died with their
	// server; they are not retries.
	Attempt       int             `json:"attempt"`
	MaxAttempts   int             `json:"max_attempts"`
	Interruptions int             `json:"interruptions,omitempty"`
	Attempts      []AttemptRecord `json:"attempts,omitempty"`
	// CancelRequested is set when somebody asked for the end of a running job.
	CancelRequested bool `json:"cancel_requested,omitempty"`
	// Outcome is what the last attempt produced; zero before it ended.
	Outcome Outcome `json:"outcome,omitzero"`
}

// AttemptRecord is the short story of one attempt.
type AttemptRecord struct {
	N         int       `json:"n"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Status    Status    `json:"status"` // Queued for one that was interrupted or is retried
	Error     *Failure  `json:"error,omitempty"`
	Host      string    `json:"host,omitempty"`
}

// Failure says what went wrong.
type Failure struct {
	// Type is one of the contract's error types. For the exception of a
	// program it is what the program claims, and decides nothing.
	Type    string `json:"type"`
	Message string `json:"message"`
	Phase   Phase  `json:"phase,omitempty"`
}

// Outcome is what an attempt produced.
type Outcome struct {
	ExitCode        *int            `json:"exit_code,omitempty"`
	Stdout          string          `json:"stdout,omitempty"` // valid UTF-8
	Stderr          string          `json:"stderr,omitempty"`
	StdoutTruncated bool            `json:"stdout_truncated,omitempty"`
	StderrTruncated bool            `json:"stderr_truncated,omitempty"`
	Output          json.RawMessage `json:"output,omitempty"` // any JSON value, as the program wrote it
	OutputNote      string          `json:"output_note,omitempty"`
	Error           *Failure        `json:"error,omitempty"`
	EndedBy         EndedBy         `json:"ended_by,omitzero"`
	Timing          Timing          `json:"timing,omitzero"`
	Usage           Usage           `json:"usage,omitzero"`
	Artifacts       []Artifact      `json:"artifacts,omitempty"` // their SHA256 name blobs
	Skipped         []string        `json:"skipped_artifacts,omitempty"`
	Environment     EnvironmentRef  `json:"environment,omitzero"`
	Sandbox         SandboxRef      `json:"sandbox,omitzero"`
	Host            string          `json:"host,omitempty"`
	// Network is nil where the attempt had none.
	Network *NetworkUse `json:"network,omitempty"`
}

// EnvironmentRef names what a job ran in.
type EnvironmentRef struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

// SandboxRef says what isolated a job.
type SandboxRef struct {
	Supply        Supply   `json:"supply"`
	Engine        string   `json:"engine"`
	EngineVersion string   `json:"engine_version"`
	Unenforced    []string `json:"unenforced,omitempty"`
}

// EventType names the kind of an event.
type EventType string

const (
	EventStatus    EventType = "status"
	EventStdout    EventType = "stdout"
	EventStderr    EventType = "stderr"
	EventArtifact  EventType = "artifact"
	EventBuild     EventType = "build"
	EventTruncated EventType = "truncated" // the log is full
	EventEnd       EventType = "end"       // nothing follows
)

// Event is one entry of a job's log. Sequence numbers of a job begin with 1
// and have no gap.
type Event struct {
	Seq     int64     `json:"seq"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"ts"`
	Type    EventType `json:"type"`
	// Data is the event's own fields as a JSON object: {"text": "..."} or
	// {"b64": "..."} of output, {"status": "running"} and so on.
	Data json.RawMessage `json:"data"`
	// Said numbers what an attempt says, from 1 on, on its way to the store; it
	// tells a repetition. 0 is not numbered.
	Said int64 `json:"-"`
}

// Scope is what an API key may do.
type Scope string

const (
	ScopeRead    Scope = "read"    // look at jobs
	ScopeExecute Scope = "execute" // run, cancel, rerun, fork
	ScopeAdmin   Scope = "admin"   // everything, of everybody
)

// Key is a stored API key. The key itself is not stored.
type Key struct {
	ID            string    `json:"id"`
	Name          string    `json:"name"`
	Hash          []byte    `json:"-"` // SHA-256 of the key, which has 256 random bits
	Prefix        string    `json:"prefix"`
	Scopes        []Scope   `json:"scopes"`
	CreatedAt     time.Time `json:"created_at"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	LastUsedAt    time.Time `json:"last_used_at,omitzero"`
	WebhookSecret string    `json:"-"`
}

// Principal is who makes a request.
type Principal struct {
	// Name is for logs and rate limits: "key:<id>", "api_key:<index>" for keys
	// of the configuration, "anonymous".
	Name   string
	Owner  string // of records it makes; empty for anonymous and configured keys
	Scopes []Scope
}

// Can reports whether p has scope s.
func (p Principal) Can(s Scope) bool {
	for _, have := range p.Scopes {
		if have == s || have == ScopeAdmin {
			return true
		}
	}
	return false
}

// Sees reports whether p may look at what belongs to owner.
func (p Principal) Sees(owner string) bool { return p.Can(ScopeAdmin) || p.Owner == owner }
