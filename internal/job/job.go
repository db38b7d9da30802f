// Package job is the domain: what a job asks for, what one attempt of it
// produced and why it ended. It imports the standard library only and is
// imported by everything else.
package job

import "time"

// Status is where a job stands. The zero value is not a status.
type Status string

const (
	Queued    Status = "queued"    // accepted, waiting for a slot
	Running   Status = "running"   // an attempt is under way
	Succeeded Status = "succeeded" // the program exited with 0
	Failed    Status = "failed"    // the program failed, or could not be run
	Timeout   Status = "timeout"   // a time budget ran out
	OOM       Status = "oom"       // the memory limit was hit
	Cancelled Status = "cancelled" // somebody asked for it to stop
)

// transitions is the state machine: a status may become only what it lists.
// Terminal statuses list nothing, so a record that ended never changes.
var transitions = map[Status][]Status{
	Queued:  {Running, Failed, Cancelled},
	Running: {Queued, Succeeded, Failed, Timeout, OOM, Cancelled},
}

// CanBecome reports whether a record may go from s to next.
func (s Status) CanBecome(next Status) bool {
	for _, allowed := range transitions[s] {
		if allowed == next {
			return true
		}
	}
	return false
}

// Terminal reports whether s is an end: nothing follows it.
func (s Status) Terminal() bool {
	switch s {
	case Succeeded, Failed, Timeout, OOM, Cancelled:
		return true
	}
	return false
}

// Phase is the part of an attempt that was under way.
type Phase string

const (
	PhaseStartup   Phase = "startup"   // sandbox launch and staging, up to the program's exec
	PhaseExecution Phase = "execution" // user code was running
	PhaseCompleted Phase = "completed" // it ended and its output was collected
)

// Actor is who ended an attempt. The set is closed.
type Actor string

const (
	ActorUserCode Actor = "user_code"    // the program exited or was killed by its own signal
	ActorTimeout  Actor = "timeout"      // a time budget ran out
	ActorMemory   Actor = "memory_limit" // the memory limit was hit
	ActorLimit    Actor = "limit"        // another limit ended it
	ActorCancel   Actor = "cancel"       // the caller asked for it
	ActorOperator Actor = "operator"     // whoever runs tako asked for it
	ActorEngine   Actor = "engine"       // the isolation engine died or could not start
	ActorHost     Actor = "host"         // the host could not do its part (disk, store)
)

// EndedBy is the cause of death of an attempt, from facts that user code
// cannot forge: wait statuses, counters of the kernel, our own timers.
type EndedBy struct {
	Actor Actor `json:"actor"`
	// Limit names the limit that was hit ("memory", "timeout",
	// "startup_timeout"), empty when none was.
	Limit string `json:"limit,omitempty"`
	// Signal is the name of the signal that ended the program ("SIGKILL"),
	// empty when it exited by itself.
	Signal string `json:"signal,omitempty"`
	// Detail is one line for a person.
	Detail string `json:"detail,omitempty"`
}

// Supply says where an attempt's sandbox came from.
type Supply string

const (
	SupplyCold    Supply = "cold"    // it was booted for the attempt
	SupplyRestore Supply = "restore" // a snapshot was restored for the attempt
	SupplyPool    Supply = "pool"    // it was waiting
)

// Artifact is one file that a job left in /output.
type Artifact struct {
	// Name is the path below /output, with '/' between parts. It is UTF-8
	// without "..", control characters or parts over 255 bytes.
	Name        string `json:"name"`
	SizeBytes   int64  `json:"size_bytes"`
	SHA256      string `json:"sha256"` // lower-case hex
	ContentType string `json:"content_type,omitempty"`
}

// Timing is how long each phase of an attempt took.
type Timing struct {
	Startup     time.Duration `json:"startup"`
	Execution   time.Duration `json:"execution"`
	Total       time.Duration `json:"total"`
	PhaseAtExit Phase         `json:"phase_at_exit"`
}

// Usage is what user code used, without the cost of the sandbox around it.
type Usage struct {
	MaxRSS  int64         `json:"max_rss"`  // bytes, of the largest process
	CPUTime time.Duration `json:"cpu_time"` // user and system time of every process that was reaped
	Wall    time.Duration `json:"wall"`
}
