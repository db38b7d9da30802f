package wire

import (
	"encoding/json"

	"github.com/takovm/tako/internal/job"
)

// ExecuteResponse answers POST /execute.
type ExecuteResponse struct {
	Success       bool            `json:"success"`
	Output        json.RawMessage `json:"output" doc:"any JSON value"`
	ExecutionTime float64         `json:"execution_time" doc:"seconds"`
	Stdout        string          `json:"stdout"`
	Stderr        string          `json:"stderr"`
	ExitCode      *int            `json:"exit_code"`
	Error         *string         `json:"error"`
	JobType       *string         `json:"job_type"`
	ExecutionID   *string         `json:"execution_id"`
	Runtime       *string         `json:"runtime"`
}

// NewExecuteResponse is the answer for an execution that ended.
func NewExecuteResponse(r *job.Record) ExecuteResponse {
	o := &r.Outcome
	seconds := o.Timing.Total.Seconds()
	if seconds == 0 && !r.StartedAt.IsZero() && !r.EndedAt.IsZero() {
		seconds = r.EndedAt.Sub(r.StartedAt).Seconds()
	}
	out := ExecuteResponse{
		Success: r.Status == job.Succeeded, Output: o.Output, ExecutionTime: seconds, Stdout: o.Stdout, Stderr: o.Stderr,
		ExitCode: o.ExitCode, JobType: OrNil(r.JobType), ExecutionID: OrNil(r.ID), Runtime: runtimeName(o.Sandbox.Engine),
	}
	if o.Error != nil {
		out.Error = new(failureMessage(o.Error.Type, o.Error.Message))
	}
	return out
}

// Submitted answers what makes a job.
type Submitted struct {
	JobID  string     `json:"job_id"`
	Status job.Status `json:"status"`
}

// JobStatus answers GET /jobs/{job_id}. Its status is pending for a job that
// waits in the queue.
type JobStatus struct {
	JobID         string `json:"job_id"`
	Status        string `json:"status"`
	CreatedAt     *Time  `json:"created_at"`
	DurationMS    *int64 `json:"duration_ms"`
	QueuePosition *int   `json:"queue_position"`
}

// NewJobStatus is where r stands; position is its place in the queue, from 1, or 0.
func NewJobStatus(r *job.Record, position int) JobStatus {
	s := JobStatus{JobID: r.ID, Status: string(r.Status), CreatedAt: NewTime(r.CreatedAt), DurationMS: durationMS(r)}
	if r.Status == job.Queued && position > 0 {
		s.Status, s.QueuePosition = "pending", &position
	}
	return s
}

// Done answers what ends or removes a job.
type Done struct {
	Status string `json:"status"`
	JobID  string `json:"job_id"`
}

// Page is a part of a list.
type Page[T any] struct {
	Items   []T  `json:"items"`
	Limit   int  `json:"limit"`
	Offset  int  `json:"offset"`
	HasMore bool `json:"has_more"`
	Count   int  `json:"count"`
}

// NewPage is a page of items, [] for none.
func NewPage[T any](items []T, limit, offset int, more bool) Page[T] {
	return Page[T]{list(items), limit, offset, more, len(items)}
}

// ArtifactList answers GET /jobs/{job_id}/artifacts.
type ArtifactList struct {
	JobID string     `json:"job_id"`
	Items []Artifact `json:"items"`
	Count int        `json:"count"`
}

// Error is the body of every error but those of a request that does not hold
// against its schema.
type Error struct {
	Detail        string `json:"detail"`
	CorrelationID string `json:"correlation_id,omitempty"`
}

// Lineage answers GET /executions/{execution_id}/lineage.
type Lineage struct {
	ExecutionID string `json:"execution_id"`
	// Ancestors are parents up to the first, the nearest first.
	Ancestors []Relative `json:"ancestors"`
	// Descendants are what came of it, level by level.
	Descendants []Relative `json:"descendants"`
	// Truncated lists are not complete.
	Truncated bool `json:"truncated"`
}

// Relative is an execution in a lineage.
type Relative struct {
	ExecutionID       string            `json:"execution_id"`
	ParentExecutionID *string           `json:"parent_execution_id"`
	Relationship      *job.Relationship `json:"relationship"`
	Status            job.Status        `json:"status"`
	CreatedAt         *Time             `json:"created_at"`
}

// NewRelative is r in a lineage.
func NewRelative(r *job.Record) Relative {
	return Relative{r.ID, OrNil(r.ParentID), OrNil(r.Relationship), r.Status, NewTime(r.CreatedAt)}
}

// Diff answers GET /executions/{execution_id}/diff/{other}.
type Diff struct {
	Left        string       `json:"left"`
	Right       string       `json:"right"`
	Identical   bool         `json:"identical"`
	Differences []Difference `json:"differences"`
}

// Difference is a field that two executions do not share.
type Difference struct {
	Field string          `json:"field"`
	Left  json.RawMessage `json:"left" doc:"any JSON value"`
	Right json.RawMessage `json:"right" doc:"any JSON value"`
}

// BatchSubmitted answers POST /batches.
type BatchSubmitted struct {
	BatchID string `json:"batch_id"`
	Status  string `json:"status"`
	Total   int    `json:"total"`
}

// Batch answers GET /batches/{batch_id}.
type Batch struct {
	BatchID   string             `json:"batch_id"`
	Status    string             `json:"status"`
	Total     int                `json:"total"`
	Counts    map[job.Status]int `json:"counts"`
	CreatedAt *Time              `json:"created_at"`
	EndedAt   *Time              `json:"ended_at"`
	Labels    map[string]string  `json:"labels"`
}
