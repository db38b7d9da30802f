package wire

import (
	"encoding/json"
	"time"

	"github.com/takovm/tako/internal/job"
)

// Record is an execution, slim view.
type Record struct {
	ExecutionID string          `json:"execution_id" doc:"the execution; its job has the same id"`
	Status      job.Status      `json:"status" doc:"where it stands"`
	JobType     string          `json:"job_type" doc:"the job type that it ran as"`
	JobVersion  string          `json:"job_version" doc:"the version of that, as job_ref"`
	CreatedAt   *Time           `json:"created_at" doc:"when it was submitted"`
	StartedAt   *Time           `json:"started_at" doc:"when its last attempt began; null before"`
	EndedAt     *Time           `json:"ended_at" doc:"when it ended; null before"`
	DurationMS  *int64          `json:"duration_ms" doc:"milliseconds that its last attempt took; null before its end"`
	ExitCode    *int            `json:"exit_code" doc:"of the program; null where it did not come to an end of its own"`
	Stdout      string          `json:"stdout" doc:"what the program wrote to standard output, up to max_stdout_bytes"`
	Stderr      string          `json:"stderr" doc:"what it wrote to standard error, up to max_stderr_bytes"`
	Output      json.RawMessage `json:"output" doc:"what the program left in /output/result.json, any JSON value; null where there is none"`
	Error       *Failure        `json:"error" doc:"what went wrong; null where nothing did"`
	Timing      *Timing         `json:"timing" doc:"how long the phases took; null before there is something to say"`
	Runtime     *string         `json:"runtime" doc:"runsc for gVisor"`
}

// FullRecord is an execution, view=full.
type FullRecord struct {
	Record
	JobRef            string            `json:"job_ref" doc:"job type and version"`
	Artifacts         []Artifact        `json:"artifacts" doc:"files that the program left in /output"`
	InputArtifacts    []Artifact        `json:"input_artifacts" doc:"files that it was given"`
	ResourceUsage     *Usage            `json:"resource_usage" doc:"what the program used, without the sandbox around it"`
	CodeHash          *string           `json:"code_hash" doc:"SHA-256 of the code"`
	InputHash         *string           `json:"input_hash" doc:"SHA-256 of the input data"`
	ParentExecutionID *string           `json:"parent_execution_id" doc:"what it was made from; null for none"`
	Relationship      *job.Relationship `json:"relationship" doc:"how it was made of its parent"`
	StdoutTruncated   bool              `json:"stdout_truncated" doc:"the program wrote more than was kept"`
	StderrTruncated   bool              `json:"stderr_truncated" doc:"the program wrote more than was kept"`
	IdempotencyKey    *string           `json:"idempotency_key" doc:"as it was given"`
	EndedBy           *EndedBy          `json:"ended_by" doc:"why it ended, from facts that the program cannot forge; null before"`
	Host              *string           `json:"host" doc:"the server that ran it"`
	Attempts          []Attempt         `json:"attempts" doc:"every try, the first one first"`
	Environment       *Environment      `json:"environment" doc:"what it ran in; null before"`
	Network           Network           `json:"network" doc:"the network that it had, and what it did with it"`
	Labels            map[string]string `json:"labels" doc:"as they were given"`
	Priority          int               `json:"priority" doc:"1 runs first, 4 last"`
	RunAt             *Time             `json:"run_at" doc:"not before this; null for at once"`
	QueueMS           *int64            `json:"queue_ms" doc:"milliseconds that it waited although it could have run; null while it waits"`
	Sandbox           *Sandbox          `json:"sandbox" doc:"what isolated it; null before"`
	BatchID           *string           `json:"batch_id" doc:"the batch that it belongs to; null for none"`
	SkippedArtifacts  []string          `json:"skipped_artifacts" doc:"files that were left behind, and why"`
}

// Failure says what went wrong.
type Failure struct {
	Type    string     `json:"type" doc:"a word for programs, such as timeout, oom, cancelled, config_error or the name of a Python exception"`
	Message string     `json:"message" doc:"what happened, for a person"`
	Phase   *job.Phase `json:"phase" doc:"what was under way"`
}

// Timing is how long the phases took.
type Timing struct {
	StartupMS    *int64     `json:"startup_ms" doc:"milliseconds until the program was started"`
	DepInstallMS *int64     `json:"dep_install_ms" doc:"of those, milliseconds for packages"`
	ExecutionMS  *int64     `json:"execution_ms" doc:"milliseconds that the program ran"`
	TotalMS      *int64     `json:"total_ms" doc:"milliseconds in all"`
	PhaseAtExit  *job.Phase `json:"phase_at_exit" doc:"what was under way at its end"`
}

// Artifact is a file that a job left, or that it was given.
type Artifact struct {
	Name        string  `json:"name" doc:"its path below /output, or below /input"`
	SizeBytes   int64   `json:"size_bytes" doc:"bytes"`
	SHA256      string  `json:"sha256" doc:"of its content, in hexadecimal; also its ETag"`
	ContentType *string `json:"content_type" doc:"as it was detected; null where it is not known"`
}

// Usage is what user code used.
type Usage struct {
	MaxRSSMB   *float64 `json:"max_rss_mb" doc:"megabytes of memory of its largest process"`
	CPUTimeMS  *int64   `json:"cpu_time_ms" doc:"milliseconds of processor time of all its processes"`
	WallTimeMS *int64   `json:"wall_time_ms" doc:"milliseconds that it ran"`
}

// EndedBy is why an execution ended.
type EndedBy struct {
	Actor  job.Actor `json:"actor" doc:"who ended it"`
	Limit  *string   `json:"limit" doc:"the limit that was hit: memory, timeout, startup_timeout; null for none"`
	Signal *string   `json:"signal" doc:"the signal that ended the program, such as SIGKILL; null for none"`
	Detail *string   `json:"detail" doc:"one line for a person"`
}

// Attempt is one try.
type Attempt struct {
	N         int        `json:"n" doc:"from 0 on"`
	StartedAt *Time      `json:"started_at" doc:"when it began"`
	EndedAt   *Time      `json:"ended_at" doc:"when it ended; null before"`
	Status    job.Status `json:"status" doc:"how it ended"`
	Error     *Failure   `json:"error" doc:"what went wrong; null where nothing did"`
	Host      *string    `json:"host" doc:"the server that it ran on"`
}

// Environment names what an execution ran in.
type Environment struct {
	Name    string `json:"name" doc:"of the image, or of this machine's Python"`
	Version string `json:"version" doc:"of its Python"`
	Digest  string `json:"digest" doc:"SHA-256 of all of it, packages included"`
}

// Network is the network that an execution had, and what it did with it.
type Network struct {
	Mode     job.NetworkMode `json:"mode" doc:"none, allow or public"`
	BytesIn  *int64          `json:"bytes_in" doc:"bytes that its connections brought, without headers; null without a network"`
	BytesOut *int64          `json:"bytes_out" doc:"bytes that they took out; null without a network"`
	Denied   []Denied        `json:"denied" doc:"what was refused, each thing once"`
}

// Denied is a connection that was refused, and how often.
type Denied struct {
	Host   string `json:"host" doc:"the name or the address"`
	Port   int    `json:"port" doc:"0 where a name was asked for"`
	Reason string `json:"reason" doc:"why"`
	Count  int64  `json:"count" doc:"how often"`
}

// Sandbox says what isolated an execution.
type Sandbox struct {
	Supply        job.Supply `json:"supply" doc:"where it came from: it waited (pool), was restored of a snapshot (restore), or was booted (cold)"`
	Engine        string     `json:"engine" doc:"gvisor"`
	EngineVersion string     `json:"engine_version" doc:"of the engine"`
	Unenforced    []string   `json:"unenforced" doc:"limits that held nothing on that host"`
}

// NewRecord is the slim view of r.
func NewRecord(r *job.Record) Record {
	o := &r.Outcome
	return Record{
		ExecutionID: r.ID, Status: r.Status, JobType: r.JobType, JobVersion: r.JobRef,
		CreatedAt: NewTime(r.CreatedAt), StartedAt: NewTime(r.StartedAt), EndedAt: NewTime(r.EndedAt),
		DurationMS: durationMS(r), ExitCode: o.ExitCode, Stdout: o.Stdout, Stderr: o.Stderr,
		Output: o.Output, Error: newFailure(o.Error), Timing: newTiming(o.Timing), Runtime: runtimeName(o.Sandbox.Engine),
	}
}

// NewFullRecord is the full view of r.
func NewFullRecord(r *job.Record) FullRecord {
	o := &r.Outcome
	full := FullRecord{
		Record: NewRecord(r), JobRef: r.JobRef, Artifacts: NewArtifacts(o.Artifacts), InputArtifacts: inputs(r),
		ResourceUsage: newUsage(o.Usage), CodeHash: OrNil(r.CodeHash), InputHash: OrNil(r.InputHash),
		ParentExecutionID: OrNil(r.ParentID), Relationship: OrNil(r.Relationship),
		StdoutTruncated: o.StdoutTruncated, StderrTruncated: o.StderrTruncated, IdempotencyKey: OrNil(r.IdempotencyKey),
		EndedBy: newEndedBy(o.EndedBy), Host: OrNil(o.Host), Attempts: []Attempt{}, Environment: OrNil(Environment(o.Environment)),
		Labels: dict(r.Request.Labels), Priority: r.Request.Priority,
		RunAt: NewTime(r.Request.RunAt), QueueMS: queueMS(r), BatchID: OrNil(r.BatchID), SkippedArtifacts: texts(o.Skipped),
	}
	full.Network = newNetwork(r)
	if o.Sandbox.Engine != "" {
		full.Sandbox = &Sandbox{o.Sandbox.Supply, o.Sandbox.Engine, o.Sandbox.EngineVersion, texts(o.Sandbox.Unenforced)}
	}
	for _, a := range r.Attempts {
		full.Attempts = append(full.Attempts, Attempt{N: a.N, StartedAt: NewTime(a.StartedAt), EndedAt: NewTime(a.EndedAt),
			Status: a.Status, Error: newFailure(a.Error), Host: OrNil(a.Host)})
	}
	full.noteOutput(o.OutputNote)
	return full
}

// newNetwork is what the last attempt did, or before there is one what it may.
func newNetwork(r *job.Record) Network {
	n := Network{Mode: job.NetworkNone, Denied: []Denied{}}
	if t := r.Request.Type; t != nil && t.Network.Mode != "" {
		n.Mode = t.Network.Mode
	}
	if asked := r.Request.Network; asked != nil {
		n.Mode = asked.Mode
	}
	if use := r.Outcome.Network; use != nil {
		n.BytesIn, n.BytesOut = &use.BytesIn, &use.BytesOut
		for _, d := range use.Denied {
			n.Denied = append(n.Denied, Denied(d))
		}
	}
	return n
}

// noteOutput says why there is no output, in this view only.
func (r *FullRecord) noteOutput(note string) {
	switch {
	case note == "":
	case r.Error == nil:
		r.Error = &Failure{Type: "json_error", Message: note}
	default:
		with := *r.Error
		with.Message += "; " + note
		r.Error = &with
	}
}

// durationMS is the time that the last attempt took, nil before it ended.
func durationMS(r *job.Record) *int64 {
	d := r.Outcome.Timing.Total
	if d == 0 && !r.StartedAt.IsZero() && !r.EndedAt.IsZero() {
		d = r.EndedAt.Sub(r.StartedAt)
	}
	if r.EndedAt.IsZero() || r.StartedAt.IsZero() && d == 0 {
		return nil
	}
	return ms(d)
}

// queueMS is how long a job waited that could have run.
func queueMS(r *job.Record) *int64 {
	start := r.StartedAt
	if len(r.Attempts) > 0 && !r.Attempts[0].StartedAt.IsZero() {
		start = r.Attempts[0].StartedAt
	}
	if start.IsZero() {
		return nil
	}
	from := r.CreatedAt
	if r.Request.RunAt.After(from) {
		from = r.Request.RunAt
	}
	return ms(max(0, start.Sub(from)))
}

// texts are [] for none.
func texts(list []string) []string { return append([]string{}, list...) }

func ms(d time.Duration) *int64 {
	n := d.Milliseconds()
	return &n
}

func newFailure(f *job.Failure) *Failure {
	if f == nil {
		return nil
	}
	return &Failure{f.Type, failureMessage(f.Type, f.Message), OrNil(f.Phase)}
}

func failureMessage(kind, message string) string {
	if ours(kind) {
		return sanitizeOurs(message)
	}
	return Sanitize(message)
}

func newTiming(t job.Timing) *Timing {
	if t == (job.Timing{}) {
		return nil
	}
	return &Timing{StartupMS: ms(t.Startup), ExecutionMS: ms(t.Execution), TotalMS: ms(t.Total), PhaseAtExit: OrNil(t.PhaseAtExit)}
}

func newUsage(u job.Usage) *Usage {
	if u == (job.Usage{}) {
		return nil
	}
	var rss *float64
	if u.MaxRSS > 0 { // who was killed left no figure
		rss = new(float64(u.MaxRSS) / (1 << 20))
	}
	return &Usage{rss, ms(u.CPUTime), ms(u.Wall)}
}

func newEndedBy(e job.EndedBy) *EndedBy {
	if e.Actor == "" {
		return nil
	}
	detail := Sanitize(e.Detail)
	if e.Actor == job.ActorEngine || e.Actor == job.ActorHost {
		detail = sanitizeOurs(e.Detail)
	}
	return &EndedBy{e.Actor, OrNil(e.Limit), OrNil(e.Signal), OrNil(detail)}
}

// runtimeName is what Tako VM calls an engine: gVisor's is runsc.
func runtimeName(engine string) *string {
	if engine == "gvisor" {
		engine = "runsc"
	}
	return OrNil(engine)
}

// NewArtifacts lists artifacts, [] for none.
func NewArtifacts(artifacts []job.Artifact) []Artifact {
	out := []Artifact{}
	for _, a := range artifacts {
		out = append(out, Artifact{a.Name, a.SizeBytes, a.SHA256, OrNil(a.ContentType)})
	}
	return out
}

// inputs lists what a job was given: its code and input under the names that Tako
// VM gave them, then its files.
func inputs(r *job.Record) []Artifact {
	out := []Artifact{}
	named := func(name, hash, kind string, size int) {
		if hash != "" {
			out = append(out, Artifact{name, int64(size), hash, &kind})
		}
	}
	named("_code.py", r.CodeHash, "text/x-python", len(r.Request.Code))
	named("_input.json", r.InputHash, "application/json", len(r.Request.Input))
	for _, f := range r.Request.Files {
		out = append(out, Artifact{Name: f.Path, SizeBytes: f.SizeBytes, SHA256: f.SHA256})
	}
	return out
}
