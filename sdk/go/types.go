package tako

import (
	"github.com/takovm/tako/internal/api/wire"
	"github.com/takovm/tako/internal/job"
)

// What is sent.
type (
	// ExecuteRequest is a job: code, its input and its limits.
	ExecuteRequest = wire.ExecuteRequest
	// File is an input file with exactly one source.
	File = wire.File
	// Limits are what a request asks for.
	Limits = wire.Limits
	// NetworkRequest narrows the job type's network.
	NetworkRequest = wire.NetworkRequest
	// BatchRequest is up to 1,000 jobs.
	BatchRequest = wire.BatchRequest
	// RerunRequest says what another run of a job has otherwise.
	RerunRequest = wire.RerunRequest
	// ForkRequest is other code for a job's input.
	ForkRequest = wire.ForkRequest
	// KeyRequest is an API key to be made.
	KeyRequest = wire.KeyRequest
	// JobTypeRequest is a job type to be made.
	JobTypeRequest = wire.JobTypeRequest
	// GPU is what a job type asks for; there is none to give.
	GPU = wire.GPU
)

// What is answered.
type (
	// Time is a time in an answer.
	Time = wire.Time
	// ZTime is a time in an answer, too.
	ZTime = wire.ZTime
	// ExecuteResponse is what became of code that was waited for.
	ExecuteResponse = wire.ExecuteResponse
	// Submitted is a job that was accepted.
	Submitted = wire.Submitted
	// JobStatus is where a job stands.
	JobStatus = wire.JobStatus
	// Done is a job that was ended or removed.
	Done = wire.Done
	// Page is a part of a list.
	Page[T any] = wire.Page[T]
	// Record is an execution.
	Record = wire.Record
	// FullRecord is an execution with everything that is known of it.
	FullRecord = wire.FullRecord
	// Failure says what went wrong.
	Failure = wire.Failure
	// Timing is how long phases took.
	Timing = wire.Timing
	// Artifact is a file that a job left or was given.
	Artifact = wire.Artifact
	// ArtifactList are the files that a job left.
	ArtifactList = wire.ArtifactList
	// Usage is what user code used.
	Usage = wire.Usage
	// EndedBy is why an execution ended.
	EndedBy = wire.EndedBy
	// Attempt is one try.
	Attempt = wire.Attempt
	// Environment names what an execution ran in.
	Environment = wire.Environment
	// Network is the network that an execution had.
	Network = wire.Network
	// Denied is a connection that was refused.
	Denied = wire.Denied
	// Sandbox says what isolated an execution.
	Sandbox = wire.Sandbox
	// Lineage is what an execution came from and what came of it.
	Lineage = wire.Lineage
	// Relative is an execution in a lineage.
	Relative = wire.Relative
	// Diff is what two executions do not share.
	Diff = wire.Diff
	// Difference is one thing that two executions do not share.
	Difference = wire.Difference
	// BatchSubmitted is a batch that was accepted.
	BatchSubmitted = wire.BatchSubmitted
	// Batch is where a batch stands.
	Batch = wire.Batch
	// Pool is what runs and waits.
	Pool = wire.PoolStats
	// Health is how the server is.
	Health = wire.Health
	// Breaker is the guard before the engine.
	Breaker = wire.Breaker
	// Engine is the isolation engine.
	Engine = wire.Engine
	// Readiness is whether the server takes work.
	Readiness = wire.Readiness
	// DLQStats count dead letters.
	DLQStats = wire.DLQStats
	// DeadLetter is a job that the server could not bring to an end of its own.
	DeadLetter = wire.DeadLetter
	// DeadLetterRemoved is a dead letter that was removed.
	DeadLetterRemoved = wire.DeadLetterRemoved
	// JobType is a named environment.
	JobType = wire.JobType
	// Build is a job type that was built.
	Build = wire.Build
	// JobTypeVersion is a build of a job type.
	JobTypeVersion = wire.JobTypeVersion
	// Lock says what exactly a build installed.
	Lock = wire.Lock
	// JobTypeRemoved is a job type that was removed.
	JobTypeRemoved = wire.JobTypeRemoved
	// SecretBinding says where the value of a secret may go.
	SecretBinding = job.SecretBinding
	// Secret is a stored secret, without its value.
	Secret = wire.Secret
	// SecretRemoved is a secret that was removed.
	SecretRemoved = wire.SecretRemoved
	// Key is a stored API key, without the key.
	Key = wire.Key
	// CreatedKey is an API key with the key, which is answered once.
	CreatedKey = wire.CreatedKey
	// KeyRemoved is an API key that was removed.
	KeyRemoved = wire.KeyRemoved
	// Delivery is a webhook that is due, was delivered or was given up.
	Delivery = wire.Delivery
	// Upload is a file that was sent ahead of its job.
	Upload = wire.Upload
)

// Words that answers use.
type (
	// Status is where a job stands.
	Status = job.Status
	// Phase is a part of an attempt.
	Phase = job.Phase
	// Actor is who ended an attempt.
	Actor = job.Actor
	// Relationship is how an execution came from another.
	Relationship = job.Relationship
	// Supply says where a sandbox came from.
	Supply = job.Supply
	// NetworkMode is what a job may reach.
	NetworkMode = job.NetworkMode
	// EventType names the kind of an event.
	EventType = job.EventType
)

// Statuses. Terminal tells those that are an end.
const (
	Queued    = job.Queued
	Running   = job.Running
	Succeeded = job.Succeeded
	Failed    = job.Failed
	TimedOut  = job.Timeout
	OOM       = job.OOM
	Cancelled = job.Cancelled
)

// Types of events.
const (
	EventStatus    = job.EventStatus
	EventStdout    = job.EventStdout
	EventStderr    = job.EventStderr
	EventArtifact  = job.EventArtifact
	EventBuild     = job.EventBuild
	EventTruncated = job.EventTruncated // more was written than is kept
	EventEnd       = job.EventEnd       // nothing follows
)
