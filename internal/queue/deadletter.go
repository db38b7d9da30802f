package queue

import (
	"encoding/json"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/store"
)

// deadLetter is what is kept of a job that we gave up: what it was, without
// code and input.
func deadLetter(r *job.Record, failure job.Failure, at time.Time) store.DeadLetter {
	data := map[string]any{
		"job_type": r.JobType, "code_hash": r.CodeHash, "input_hash": r.InputHash,
		"code_size_bytes": len(r.Request.Code), "input_size_bytes": len(r.Request.Input),
		"has_idempotency_key": r.IdempotencyKey != "",
	}
	optional := map[string]any{"timeout": r.Request.Timeout, "startup_timeout": r.Request.StartupTimeout}
	for name, v := range optional {
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
	return store.DeadLetter{
		JobID: r.ID, JobData: mustJSON(data), ErrorType: failure.Type, ErrorMessage: failure.Message,
		RetryCount: r.Attempt, CreatedAt: at, ClientIP: r.ClientIP, CorrelationID: r.CorrelationID, Owner: r.Owner,
	}
}

// mustJSON encodes what cannot fail.
func mustJSON(v any) json.RawMessage {
	data, err := json.Marshal(v)
	if err != nil {
		panic("queue: " + err.Error())
	}
	return data
}
