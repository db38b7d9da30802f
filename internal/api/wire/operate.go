package wire

import (
	"encoding/json"

	"github.com/takovm/tako/internal/job"
)

// Pool is what runs and waits.
type Pool struct {
	Pending      int `json:"pending" doc:"jobs that wait"`
	Running      int `json:"running" doc:"jobs that run"`
	MaxWorkers   int `json:"max_workers" doc:"jobs that may run at once on this server"`
	MaxQueueSize int `json:"max_queue_size" doc:"jobs that may wait"`
}

// PoolStats answers GET /pool/stats.
type PoolStats struct {
	Pending      int       `json:"pending" doc:"jobs that wait"`
	Running      int       `json:"running" doc:"jobs that run"`
	MaxWorkers   int       `json:"max_workers" doc:"jobs that may run at once on this server"`
	MaxQueueSize int       `json:"max_queue_size" doc:"jobs that may wait"`
	Sandboxes    Sandboxes `json:"sandboxes" doc:"those that wait for a job"`
}

// Sandboxes are those that wait for an attempt on the server that answers.
type Sandboxes struct {
	Ready       int     `json:"ready" doc:"that wait now"`
	Making      int     `json:"making" doc:"that are being made"`
	Wanted      int     `json:"wanted" doc:"that there should be, by what was asked for lately"`
	Max         int     `json:"max" doc:"that there may be: warm_pool_size"`
	Shapes      int     `json:"shapes" doc:"kinds of attempts that they are for"`
	Hits        int64   `json:"hits" doc:"attempts that found one"`
	Misses      int64   `json:"misses" doc:"attempts that could have used one"`
	Made        int64   `json:"made" doc:"since the start of the server"`
	Failed      int64   `json:"failed" doc:"how often none could be made"`
	RefillMS    float64 `json:"refill_ms" doc:"milliseconds that the last one took to be made"`
	MemoryBytes int64   `json:"memory_bytes" doc:"bytes that those which wait hold"`
}

// Health answers GET /health.
type Health struct {
	Status          string  `json:"status" doc:"healthy or degraded"`
	DockerAvailable bool    `json:"docker_available" doc:"the engine works; there is no Docker"`
	GvisorAvailable bool    `json:"gvisor_available" doc:"the engine works and is gVisor"`
	CircuitBreaker  Breaker `json:"circuit_breaker" doc:"the guard before the engine"`
	Version         string  `json:"version" doc:"of the server"`
	ProductionMode  bool    `json:"production_mode" doc:"an unknown job type fails instead of running as the default one"`
	QueueStats      Pool    `json:"queue_stats" doc:"what runs and waits"`
	Engine          Engine  `json:"engine" doc:"the isolation engine"`
}

// Breaker is the guard before the engine.
type Breaker struct {
	State        string   `json:"state" doc:"closed: jobs run; open: they wait, because the engine failed 5 times in a row; half_open: one is tried"`
	FailureCount int      `json:"failure_count" doc:"failures of the engine in a row"`
	SuccessCount int      `json:"success_count" doc:"successes since it was last open"`
	LastFailure  *float64 `json:"last_failure" doc:"seconds since 1970; null for none"`
}

// Engine is the isolation engine.
type Engine struct {
	Name      string `json:"name" doc:"gvisor"`
	Version   string `json:"version" doc:"of the engine"`
	Platform  string `json:"platform" doc:"how it runs programs: systrap"`
	Isolation string `json:"isolation" doc:"gvisor"`
	Ready     bool   `json:"ready" doc:"it can start sandboxes"`
}

// Readiness answers GET /ready, and GET /health before the server is ready.
type Readiness struct {
	Status string `json:"status" doc:"ready, starting or unavailable"`
	Detail string `json:"detail,omitempty" doc:"why it is not ready"`
}

// DLQStats answers GET /dlq/stats.
type DLQStats struct {
	Total       int            `json:"total" doc:"dead letters"`
	ByErrorType map[string]int `json:"by_error_type" doc:"how many of them, by the type of their error"`
}

// DeadLetter is a job that tako could not bring to an end of its own.
type DeadLetter struct {
	ID            int64           `json:"id" doc:"the entry, for replay and removal"`
	JobID         string          `json:"job_id" doc:"the job that was given up"`
	JobData       json.RawMessage `json:"job_data" doc:"a summary without code and input"`
	ErrorType     string          `json:"error_type" doc:"as error.type of its record"`
	ErrorMessage  *string         `json:"error_message" doc:"for a person"`
	RetryCount    int             `json:"retry_count" doc:"attempts that were made"`
	CreatedAt     ZTime           `json:"created_at" doc:"when it was given up"`
	ClientIP      *string         `json:"client_ip" doc:"whose job it was"`
	CorrelationID *string         `json:"correlation_id" doc:"of the call that submitted it"`
}

// DeadLetterRemoved answers DELETE /dlq/{entry_id}.
type DeadLetterRemoved struct {
	Status  string `json:"status" doc:"removed"`
	EntryID int64  `json:"entry_id" doc:"the entry"`
}

// JobType is a named environment.
type JobType struct {
	Name           string   `json:"name" doc:"the name, which job_type of a request takes"`
	Requirements   []string `json:"requirements" doc:"packages that are installed for it"`
	PythonVersion  string   `json:"python_version" doc:"as it was given; the environment decides which Python there is"`
	MemoryLimit    string   `json:"memory_limit" doc:"of a job, with a unit: 512m"`
	CPULimit       float64  `json:"cpu_limit" doc:"processors of a job"`
	Timeout        int      `json:"timeout" doc:"seconds that user code may take"`
	StartupTimeout int      `json:"startup_timeout" doc:"seconds until user code starts"`
	NetworkEnabled bool     `json:"network_enabled" doc:"jobs have a network, mode public"`
	SessionEnabled bool     `json:"session_enabled" doc:"of Tako VM; without effect"`
	GPUEnabled     bool     `json:"gpu_enabled" doc:"of Tako VM; without effect"`
	GPUVendor      *string  `json:"gpu_vendor" doc:"of Tako VM; without effect"`
	ImageExists    bool     `json:"image_exists" doc:"it is built: its jobs find their packages ready"`

	Image    *string        `json:"image" doc:"container image that it runs in; null is this machine's Python"`
	Language string         `json:"language" doc:"of programs whose request names none"`
	Preload  []string       `json:"preload" doc:"Python modules that are imported before a job comes"`
	Network  JobTypeNetwork `json:"network" doc:"what jobs may reach"`

	Secrets []job.SecretBinding `json:"secrets" doc:"values that jobs use and do not see"`
}

// JobTypeNetwork is what jobs of a type may reach.
type JobTypeNetwork struct {
	Mode  job.NetworkMode `json:"mode" doc:"none, allow (what the patterns name) or public (the internet, no private address)"`
	Allow []string        `json:"allow" doc:"patterns of hosts, with mode allow"`
}

// Build answers POST /job-types/{name}/build.
type Build struct {
	Status   string `json:"status" doc:"built"`
	JobType  string `json:"job_type" doc:"its name"`
	Version  string `json:"version" doc:"what selects this build in job_type of a request"`
	Digest   string `json:"digest" doc:"12 hexadecimal digits of what was built"`
	ImageRef string `json:"image_ref" doc:"a name as Tako VM gave it; there is no Docker image"`
	BuildID  string `json:"build_id" doc:"for its log and its lock"`
}

// JobTypeVersion is a build of a job type.
type JobTypeVersion struct {
	Version    string  `json:"version" doc:"what selects it in job_type of a request: name@sha256:digest"`
	Digest     string  `json:"digest" doc:"12 hexadecimal digits"`
	VersionTag *string `json:"version_tag" doc:"the name that it was given; name@tag selects it, too"`
	BuiltAt    *Time   `json:"built_at" doc:"when"`
	BuiltBy    string  `json:"built_by" doc:"manual, or what made it"`
}

// Lock answers GET /job-types/{name}/builds/{build_id}/lock.
type Lock struct {
	Python *string         `json:"python" doc:"a requirements.txt with hashes, or null"`
	NPM    json.RawMessage `json:"npm" doc:"a package-lock.json, or null"`
}

// JobTypeRemoved answers DELETE /job-types/{name}.
type JobTypeRemoved struct {
	Status  string `json:"status" doc:"removed"`
	JobType string `json:"job_type" doc:"its name"`
}

// Secret is a stored secret, without its value.
type Secret struct {
	Name      string `json:"name" doc:"the secret, and the variable in which programs find a placeholder"`
	ChangedAt *Time  `json:"changed_at" doc:"when its value was last set"`
}

// SecretRemoved answers DELETE /secrets/{name}.
type SecretRemoved struct {
	Status string `json:"status" doc:"removed"`
	Name   string `json:"name" doc:"the secret"`
}

// Key is a stored API key, without the key.
type Key struct {
	ID         string   `json:"id" doc:"for its removal"`
	Name       string   `json:"name" doc:"to know it by"`
	Prefix     string   `json:"prefix" doc:"what the key begins with"`
	Scopes     []string `json:"scopes" doc:"what it may do: read, execute, admin"`
	CreatedAt  *Time    `json:"created_at" doc:"when it was made"`
	ExpiresAt  *Time    `json:"expires_at" doc:"when it ends; null for never"`
	LastUsedAt *Time    `json:"last_used_at" doc:"when it was last used, to about a minute; null for never"`
}

// CreatedKey answers POST /keys. Key and secret are shown this once.
type CreatedKey struct {
	Key
	APIKey        string `json:"key" doc:"the key; it is shown this once"`
	WebhookSecret string `json:"webhook_secret" doc:"what webhooks of its jobs are signed with; it is shown this once"`
}

// KeyRemoved answers DELETE /keys/{key_id}.
type KeyRemoved struct {
	Status string `json:"status" doc:"removed"`
	ID     string `json:"id" doc:"the key"`
}

// Delivery is a webhook that is due, was delivered or was given up.
type Delivery struct {
	ID          string  `json:"id" doc:"the header Tako-Delivery of the webhook"`
	JobID       *string `json:"job_id" doc:"the job that it tells of; null for a batch"`
	BatchID     *string `json:"batch_id" doc:"the batch that it tells of; null for a job"`
	URL         string  `json:"url" doc:"where it goes"`
	Status      string  `json:"status" doc:"pending, delivered or failed"`
	Tries       int     `json:"tries" doc:"how often it was tried"`
	NextAt      *Time   `json:"next_at" doc:"when it is tried again; null where it is not"`
	LastStatus  *int    `json:"last_status" doc:"the HTTP status of the last answer; null without one"`
	LastError   *string `json:"last_error" doc:"what went wrong the last time"`
	CreatedAt   *Time   `json:"created_at" doc:"when it became due"`
	DeliveredAt *Time   `json:"delivered_at" doc:"when it was taken"`
}

// Upload answers POST /uploads.
type Upload struct {
	UploadID  string `json:"upload_id" doc:"for upload in files of a request; it is kept a day"`
	SizeBytes int64  `json:"size_bytes" doc:"of the file"`
	SHA256    string `json:"sha256" doc:"of the file, in hexadecimal"`
}
