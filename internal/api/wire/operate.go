package wire

import (
	"encoding/json"

	"github.com/takovm/tako/internal/job"
)

// Pool is what runs and waits.
type Pool struct {
	Pending      int `json:"pending"`
	Running      int `json:"running"`
	MaxWorkers   int `json:"max_workers"`
	MaxQueueSize int `json:"max_queue_size"`
}

// PoolStats answers GET /pool/stats.
type PoolStats struct {
	Pending      int       `json:"pending"`
	Running      int       `json:"running"`
	MaxWorkers   int       `json:"max_workers"`
	MaxQueueSize int       `json:"max_queue_size"`
	Sandboxes    Sandboxes `json:"sandboxes"`
}

// Sandboxes are those that wait for an attempt on the server that answers.
type Sandboxes struct {
	Ready       int     `json:"ready"`
	Making      int     `json:"making"`
	Wanted      int     `json:"wanted"`
	Max         int     `json:"max"`
	Shapes      int     `json:"shapes" doc:"kinds of attempts that they are for"`
	Hits        int64   `json:"hits" doc:"attempts that found one"`
	Misses      int64   `json:"misses" doc:"attempts that could have used one"`
	Made        int64   `json:"made"`
	Failed      int64   `json:"failed" doc:"how often none could be made"`
	RefillMS    float64 `json:"refill_ms" doc:"how long the last one took to be made"`
	MemoryBytes int64   `json:"memory_bytes" doc:"what those that wait hold"`
}

// Health answers GET /health.
type Health struct {
	Status          string  `json:"status" doc:"healthy or degraded"`
	DockerAvailable bool    `json:"docker_available" doc:"the engine works; there is no Docker"`
	GvisorAvailable bool    `json:"gvisor_available"`
	CircuitBreaker  Breaker `json:"circuit_breaker"`
	Version         string  `json:"version"`
	ProductionMode  bool    `json:"production_mode"`
	QueueStats      Pool    `json:"queue_stats"`
	Engine          Engine  `json:"engine"`
}

// Breaker is the guard before the engine.
type Breaker struct {
	State        string   `json:"state"`
	FailureCount int      `json:"failure_count"`
	SuccessCount int      `json:"success_count"`
	LastFailure  *float64 `json:"last_failure" doc:"seconds since 1970"`
}

// Engine is the isolation engine.
type Engine struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Platform  string `json:"platform"`
	Isolation string `json:"isolation"`
	Ready     bool   `json:"ready"`
}

// Readiness answers GET /ready, and GET /health before the server is ready.
type Readiness struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// DLQStats answers GET /dlq/stats.
type DLQStats struct {
	Total       int            `json:"total"`
	ByErrorType map[string]int `json:"by_error_type"`
}

// DeadLetter is a job that tako could not bring to an end of its own.
type DeadLetter struct {
	ID            int64           `json:"id"`
	JobID         string          `json:"job_id"`
	JobData       json.RawMessage `json:"job_data" doc:"a summary without code and input"`
	ErrorType     string          `json:"error_type"`
	ErrorMessage  *string         `json:"error_message"`
	RetryCount    int             `json:"retry_count"`
	CreatedAt     ZTime           `json:"created_at"`
	ClientIP      *string         `json:"client_ip"`
	CorrelationID *string         `json:"correlation_id"`
}

// DeadLetterRemoved answers DELETE /dlq/{entry_id}.
type DeadLetterRemoved struct {
	Status  string `json:"status"`
	EntryID int64  `json:"entry_id"`
}

// JobType is a named environment.
type JobType struct {
	Name           string   `json:"name"`
	Requirements   []string `json:"requirements"`
	PythonVersion  string   `json:"python_version"`
	MemoryLimit    string   `json:"memory_limit"`
	CPULimit       float64  `json:"cpu_limit"`
	Timeout        int      `json:"timeout"`
	StartupTimeout int      `json:"startup_timeout"`
	NetworkEnabled bool     `json:"network_enabled"`
	SessionEnabled bool     `json:"session_enabled"`
	GPUEnabled     bool     `json:"gpu_enabled"`
	GPUVendor      *string  `json:"gpu_vendor"`
	ImageExists    bool     `json:"image_exists" doc:"it is built"`

	Image    *string        `json:"image"`
	Language string         `json:"language"`
	Preload  []string       `json:"preload"`
	Network  JobTypeNetwork `json:"network"`

	Secrets []job.SecretBinding `json:"secrets"`
}

// JobTypeNetwork is what jobs of a type may reach.
type JobTypeNetwork struct {
	Mode  job.NetworkMode `json:"mode"`
	Allow []string        `json:"allow"`
}

// Build answers POST /job-types/{name}/build.
type Build struct {
	Status   string `json:"status"`
	JobType  string `json:"job_type"`
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	ImageRef string `json:"image_ref"`
	BuildID  string `json:"build_id"`
}

// JobTypeVersion is a build of a job type.
type JobTypeVersion struct {
	Version    string  `json:"version"`
	Digest     string  `json:"digest"`
	VersionTag *string `json:"version_tag"`
	BuiltAt    *Time   `json:"built_at"`
	BuiltBy    string  `json:"built_by"`
}

// Lock answers GET /job-types/{name}/builds/{build_id}/lock.
type Lock struct {
	Python *string         `json:"python" doc:"a requirements.txt with hashes, or null"`
	NPM    json.RawMessage `json:"npm" doc:"a package-lock.json, or null"`
}

// JobTypeRemoved answers DELETE /job-types/{name}.
type JobTypeRemoved struct {
	Status  string `json:"status"`
	JobType string `json:"job_type"`
}

// Secret is a stored secret, without its value.
type Secret struct {
	Name      string `json:"name"`
	ChangedAt *Time  `json:"changed_at"`
}

// SecretRemoved answers DELETE /secrets/{name}.
type SecretRemoved struct {
	Status string `json:"status"`
	Name   string `json:"name"`
}

// Key is a stored API key, without the key.
type Key struct {
	ID         string   `json:"id"`
	Name       string   `json:"name"`
	Prefix     string   `json:"prefix"`
	Scopes     []string `json:"scopes"`
	CreatedAt  *Time    `json:"created_at"`
	ExpiresAt  *Time    `json:"expires_at"`
	LastUsedAt *Time    `json:"last_used_at"`
}

// CreatedKey answers POST /keys. Key and secret are shown this once.
type CreatedKey struct {
	Key
	APIKey        string `json:"key"`
	WebhookSecret string `json:"webhook_secret"`
}

// KeyRemoved answers DELETE /keys/{key_id}.
type KeyRemoved struct {
	Status string `json:"status"`
	ID     string `json:"id"`
}

// Delivery is a webhook that is due, was delivered or was given up.
type Delivery struct {
	ID          string  `json:"id"`
	JobID       *string `json:"job_id"`
	BatchID     *string `json:"batch_id"`
	URL         string  `json:"url"`
	Status      string  `json:"status"`
	Tries       int     `json:"tries"`
	NextAt      *Time   `json:"next_at"`
	LastStatus  *int    `json:"last_status"`
	LastError   *string `json:"last_error"`
	CreatedAt   *Time   `json:"created_at"`
	DeliveredAt *Time   `json:"delivered_at"`
}

// Upload answers POST /uploads.
type Upload struct {
	UploadID  string `json:"upload_id"`
	SizeBytes int64  `json:"size_bytes"`
	SHA256    string `json:"sha256"`
}
