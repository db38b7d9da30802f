package wire

import (
	"encoding/json"

	"github.com/takovm/tako/internal/job"
)

// ExecuteRequest is the body of /execute and /execute/async and an item of a
// batch, as a client writes it.
type ExecuteRequest struct {
	Code               string            `json:"code"`
	InputData          json.RawMessage   `json:"input_data,omitempty"` // a JSON object
	Timeout            *int              `json:"timeout,omitempty"`
	StartupTimeout     *int              `json:"startup_timeout,omitempty"`
	JobType            string            `json:"job_type,omitempty"`
	IdempotencyKey     string            `json:"idempotency_key,omitempty"`
	Requirements       []string          `json:"requirements,omitempty"`
	Language           string            `json:"language,omitempty"`
	Args               []string          `json:"args,omitempty"`
	Env                map[string]string `json:"env,omitempty"`
	Stdin              *string           `json:"stdin,omitempty"`
	Files              []File            `json:"files,omitempty"`
	Limits             *Limits           `json:"limits,omitempty"`
	Network            *NetworkRequest   `json:"network,omitempty"`
	Image              string            `json:"image,omitempty"`
	Priority           int               `json:"priority,omitempty"`
	RunAt              string            `json:"run_at,omitempty"` // RFC 3339
	Retry              string            `json:"retry,omitempty"`
	Labels             map[string]string `json:"labels,omitempty"`
	WebhookURL         string            `json:"webhook_url,omitempty"`
	CancelOnDisconnect bool              `json:"cancel_on_disconnect,omitempty"`
}

// File is an input file with exactly one source.
type File struct {
	Path     string  `json:"path"`
	Text     *string `json:"text,omitempty"`
	Content  *string `json:"content,omitempty"`  // base64
	Artifact string  `json:"artifact,omitempty"` // "<job id>/<name>"
	Upload   string  `json:"upload,omitempty"`
}

// Limits are what a request asks for. Memory and Disk are bytes or text such as
// "512m".
type Limits struct {
	Memory        any      `json:"memory,omitempty"`
	CPUs          *float64 `json:"cpus,omitempty"`
	PIDs          *int     `json:"pids,omitempty"`
	Disk          any      `json:"disk,omitempty"`
	StdoutBytes   *int64   `json:"stdout_bytes,omitempty"`
	StderrBytes   *int64   `json:"stderr_bytes,omitempty"`
	ArtifactBytes *int64   `json:"artifact_bytes,omitempty"`
}

// NetworkRequest narrows the job type's network.
type NetworkRequest struct {
	Mode  string   `json:"mode"`
	Allow []string `json:"allow,omitempty"`
}

// BatchRequest is the body of POST /batches.
type BatchRequest struct {
	Items          []ExecuteRequest  `json:"items"`
	Labels         map[string]string `json:"labels,omitempty"`
	WebhookURL     string            `json:"webhook_url,omitempty"`
	IdempotencyKey string            `json:"idempotency_key,omitempty"`
}

// RerunRequest is the body of POST /jobs/{job_id}/rerun.
type RerunRequest struct {
	JobType string `json:"job_type,omitempty"`
	Timeout *int   `json:"timeout,omitempty"`
}

// ForkRequest is the body of POST /jobs/{job_id}/fork.
type ForkRequest struct {
	Code    string `json:"code"`
	JobType string `json:"job_type,omitempty"`
	Timeout *int   `json:"timeout,omitempty"`
}

// KeyRequest is the body of POST /keys.
type KeyRequest struct {
	Name      string   `json:"name"`
	Scopes    []string `json:"scopes"`
	ExpiresAt string   `json:"expires_at,omitempty"` // RFC 3339
}

// SecretRequest is the body of PUT /secrets/{name}.
type SecretRequest struct {
	Value string `json:"value"`
}

// JobTypeRequest is the body of POST and PUT /job-types/{name}.
type JobTypeRequest struct {
	Name           string              `json:"name,omitempty"`
	Requirements   []string            `json:"requirements,omitempty"`
	PythonVersion  string              `json:"python_version,omitempty"`
	BaseImage      string              `json:"base_image,omitempty"`
	Image          string              `json:"image,omitempty"`
	Language       string              `json:"language,omitempty"`
	Preload        []string            `json:"preload,omitempty"`
	Network        *NetworkRequest     `json:"network,omitempty"`
	Secrets        []job.SecretBinding `json:"secrets,omitempty"`
	Limits         *TypeLimits         `json:"limits,omitempty"`
	SharedCode     []string            `json:"shared_code,omitempty"`
	Environment    map[string]string   `json:"environment,omitempty"`
	Env            map[string]string   `json:"env,omitempty"` // the same, by its shorter name; one of them
	MemoryLimit    string              `json:"memory_limit,omitempty"`
	CPULimit       *float64            `json:"cpu_limit,omitempty"`
	Timeout        *int                `json:"timeout,omitempty"`
	StartupTimeout *int                `json:"startup_timeout,omitempty"`
	NetworkEnabled bool                `json:"network_enabled,omitempty"`
	SessionEnabled bool                `json:"session_enabled,omitempty"`
	GPU            *GPU                `json:"gpu,omitempty"`
}

// TypeLimits are limits of a job type beside memory, processors and time.
type TypeLimits struct {
	PIDs     *int   `json:"pids,omitempty"`
	Disk     *int64 `json:"disk,omitempty"`
	Stdout   *int   `json:"stdout_bytes,omitempty"`
	Stderr   *int   `json:"stderr_bytes,omitempty"`
	Artifact *int   `json:"artifact_bytes,omitempty"`
}

// GPU is what a job type asks for; there is none to give.
type GPU struct {
	Enabled   bool     `json:"enabled"`
	Vendor    string   `json:"vendor,omitempty"`
	Count     *int     `json:"count,omitempty"`
	DeviceIDs []string `json:"device_ids,omitempty"`
}
