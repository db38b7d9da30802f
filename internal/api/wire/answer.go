package wire

import (
	"encoding/json"

	"github.com/takovm/tako/internal/job"
)

// ExecuteResponse answers POST /execute.
type ExecuteResponse struct {
	Success       bool            `json:"success" doc:"the program ended with exit code 0"`
	Output        json.RawMessage `json:"output" doc:"what the program left in /output/result.json, any JSON value; null where there is none"`
	ExecutionTime float64         `json:"execution_time" doc:"seconds that the attempt took"`
	Stdout        string          `json:"stdout" doc:"what the program wrote to standard output, up to max_stdout_bytes"`
	Stderr        string          `json:"stderr" doc:"what it wrote to standard error, up to max_stderr_bytes"`
	ExitCode      *int            `json:"exit_code" doc:"of the program; null where it did not come to an end of its own"`
	Error         *string         `json:"error" doc:"what went wrong, for a person; null where nothing did"`
	JobType       *string         `json:"job_type" doc:"the job type that it ran as"`
	ExecutionID   *string         `json:"execution_id" doc:"by which /executions and /jobs know it"`
	Runtime       *string         `json:"runtime" doc:"runsc for gVisor"`
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
	JobID  string     `json:"job_id" doc:"by which /jobs and /executions know it"`
	Status job.Status `json:"status" doc:"queued; of a repeat of an idempotency key, where the first job stands"`
}

// JobStatus answers GET /jobs/{job_id}. Its status is pending for a job that
// waits in the queue.
type JobStatus struct {
	JobID         string `json:"job_id" doc:"the job"`
	Status        string `json:"status" doc:"pending while it waits in the queue, else queued, running, succeeded, failed, timeout, oom or cancelled"`
	CreatedAt     *Time  `json:"created_at" doc:"when it was submitted"`
	DurationMS    *int64 `json:"duration_ms" doc:"milliseconds that it took; null before its end"`
	QueuePosition *int   `json:"queue_position" doc:"its place in the queue, from 1; null where it does not wait"`
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
	Status string `json:"status" doc:"what was done: cancelled or deleted"`
	JobID  string `json:"job_id" doc:"the job"`
}

// Page is a part of a list.
type Page[T any] struct {
	Items   []T  `json:"items" doc:"this part of the list"`
	Limit   int  `json:"limit" doc:"items that were asked for"`
	Offset  int  `json:"offset" doc:"items that were left out before these"`
	HasMore bool `json:"has_more" doc:"there are more: ask again with offset + count"`
	Count   int  `json:"count" doc:"items in this answer"`
}

// NewPage is a page of items, [] for none.
func NewPage[T any](items []T, limit, offset int, more bool) Page[T] {
	return Page[T]{list(items), limit, offset, more, len(items)}
}

// ArtifactList answers GET /jobs/{job_id}/artifacts.
type ArtifactList struct {
	JobID string     `json:"job_id" doc:"the job"`
	Items []Artifact `json:"items" doc:"its files, by name"`
	Count int        `json:"count" doc:"how many"`
}

// Error is the body of every error but those of a request that does not hold
// against its schema.
type Error struct {
	Detail        string `json:"detail" doc:"what is wrong, for a person"`
	CorrelationID string `json:"correlation_id,omitempty" doc:"the X-Correlation-ID of the call: the log of the server has it, too"`
}

// Lineage answers GET /executions/{execution_id}/lineage.
type Lineage struct {
	ExecutionID string `json:"execution_id" doc:"the execution"`
	// Ancestors are parents up to the first, the nearest first.
	Ancestors []Relative `json:"ancestors" doc:"its parent, that one's parent and so on; at most 1,000"`
	// Descendants are what came of it, level by level.
	Descendants []Relative `json:"descendants" doc:"reruns and forks of it, then of those, level by level; at most 1,000"`
	// Truncated lists are not complete.
	Truncated bool `json:"truncated" doc:"a list was cut"`
}

// Relative is an execution in a lineage.
type Relative struct {
	ExecutionID       string            `json:"execution_id" doc:"the execution"`
	ParentExecutionID *string           `json:"parent_execution_id" doc:"what it was made from; null for the first"`
	Relationship      *job.Relationship `json:"relationship" doc:"how it was made of its parent"`
	Status            job.Status        `json:"status" doc:"where it stands"`
	CreatedAt         *Time             `json:"created_at" doc:"when it was submitted"`
}

// NewRelative is r in a lineage.
func NewRelative(r *job.Record) Relative {
	return Relative{r.ID, OrNil(r.ParentID), OrNil(r.Relationship), r.Status, NewTime(r.CreatedAt)}
}

// Diff answers GET /executions/{execution_id}/diff/{other}.
type Diff struct {
	Left        string       `json:"left" doc:"the execution of the path"`
	Right       string       `json:"right" doc:"the other one"`
	Identical   bool         `json:"identical" doc:"nothing differs but what was measured: timing and resource_usage"`
	Differences []Difference `json:"differences" doc:"the fields that differ"`
}

// Difference is a field that two executions do not share.
type Difference struct {
	Field string          `json:"field" doc:"its name"`
	Left  json.RawMessage `json:"left" doc:"the value of the first, any JSON value"`
	Right json.RawMessage `json:"right" doc:"the value of the other, any JSON value"`
}

// BatchSubmitted answers POST /batches.
type BatchSubmitted struct {
	BatchID string `json:"batch_id" doc:"by which /batches knows it"`
	Status  string `json:"status" doc:"running"`
	Total   int    `json:"total" doc:"jobs in it"`
}

// Batch answers GET /batches/{batch_id}.
type Batch struct {
	BatchID   string             `json:"batch_id" doc:"the batch"`
	Status    string             `json:"status" doc:"running, finished or cancelled"`
	Total     int                `json:"total" doc:"jobs in it"`
	Counts    map[job.Status]int `json:"counts" doc:"how many of them stand where, by status"`
	CreatedAt *Time              `json:"created_at" doc:"when it was submitted"`
	EndedAt   *Time              `json:"ended_at" doc:"when the last of its jobs ended; null before"`
	Labels    map[string]string  `json:"labels" doc:"as they were given"`
}
