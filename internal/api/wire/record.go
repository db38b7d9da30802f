package wire

import (
	"encoding/json"
	"time"

	"github.com/takovm/tako/internal/job"
)

// Record is an execution, slim view.
type Record struct {
	ExecutionID string          `json:"execution_id"`
	Status      job.Status      `json:"status"`
	JobType     string          `json:"job_type"`
	JobVersion  string          `json:"job_version"`
	CreatedAt   *Time           `json:"created_at"`
	StartedAt   *Time           `json:"started_at"`
	EndedAt     *Time           `json:"ended_at"`
	DurationMS  *int64          `json:"duration_ms"`
	ExitCode    *int            `json:"exit_code"`
	Stdout      string          `json:"stdout"`
	Stderr      string          `json:"stderr"`
	Output      json.RawMessage `json:"output" doc:"any JSON value"`
	Error       *Failure        `json:"error"`
	Timing      *Timing         `json:"timing"`
	Runtime     *string         `json:"runtime"`
}

// FullRecord is an execution, view=full.
type FullRecord struct {
	Record
	JobRef            string            `json:"job_ref"`
	Artifacts         []Artifact        `json:"artifacts"`
	InputArtifacts    []Artifact        `json:"input_artifacts"`
	ResourceUsage     *Usage            `json:"resource_usage"`
	CodeHash          *string           `json:"code_hash"`
	InputHash         *string           `json:"input_hash"`
	ParentExecutionID *string           `json:"parent_execution_id"`
	Relationship      *job.Relationship `json:"relationship"`
	StdoutTruncated   bool              `json:"stdout_truncated"`
	StderrTruncated   bool              `json:"stderr_truncated"`
	IdempotencyKey    *string           `json:"idempotency_key"`
	EndedBy           *EndedBy          `json:"ended_by"`
	Host              *string           `json:"host"`
	Attempts          []Attempt         `json:"attempts"`
	Environment       *Environment      `json:"environment"`
	Network           Network           `json:"network"`
	Labels            map[string]string `json:"labels"`
	Priority          int               `json:"priority"`
	RunAt             *Time             `json:"run_at"`
	QueueMS           *int64            `json:"queue_ms"`
	Sandbox           *Sandbox          `json:"sandbox"`
	BatchID           *string           `json:"batch_id"`
	SkippedArtifacts  []string          `json:"skipped_artifacts" doc:"files that were left behind, and why"`
}

// Failure says what went wrong.
type Failure struct {
	Type    string     `json:"type"`
	Message string     `json:"message"`
	Phase   *job.Phase `json:"phase"`
}

// Timing is how long the phases took.
type Timing struct {
	StartupMS    *int64     `json:"startup_ms"`
	DepInstallMS *int64     `json:"dep_install_ms"`
	ExecutionMS  *int64     `json:"execution_ms"`
	TotalMS      *int64     `json:"total_ms"`
	PhaseAtExit  *job.Phase `json:"phase_at_exit"`
}

// Artifact is a file that a job left, or that it was given.
type Artifact struct {
	Name        string  `json:"name"`
	SizeBytes   int64   `json:"size_bytes"`
	SHA256      string  `json:"sha256"`
	ContentType *string `json:"content_type"`
}

// Usage is what user code used.
type Usage struct {
	MaxRSSMB   *float64 `json:"max_rss_mb"`
	CPUTimeMS  *int64   `json:"cpu_time_ms"`
	WallTimeMS *int64   `json:"wall_time_ms"`
}

// EndedBy is why an execution ended.
type EndedBy struct {
	Actor  job.Actor `json:"actor"`
	Limit  *string   `json:"limit"`
	Signal *string   `json:"signal"`
	Detail *string   `json:"detail"`
}

// Attempt is one try.
type Attempt struct {
	N         int        `json:"n"`
	StartedAt *Time      `json:"started_at"`
	EndedAt   *Time      `json:"ended_at"`
	Status    job.Status `json:"status"`
	Error     *Failure   `json:"error"`
	Host      *string    `json:"host"`
}

// Environment names what an execution ran in.
type Environment struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"`
}

// Network is the network that an execution had, and what it did with it.
type Network struct {
	Mode     job.NetworkMode `json:"mode"`
	BytesIn  *int64          `json:"bytes_in"`
	BytesOut *int64          `json:"bytes_out"`
	Denied   []Denied        `json:"denied"`
}

// Denied is a connection that was refused, and how often.
type Denied struct {
	Host   string `json:"host"`
	Port   int    `json:"port"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// Sandbox says what isolated an execution.
type Sandbox struct {
	Supply        job.Supply `json:"supply"`
	Engine        string     `json:"engine"`
	EngineVersion string     `json:"engine_version"`
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
