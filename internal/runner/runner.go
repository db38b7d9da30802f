// Package runner runs one attempt of a job in one fresh sandbox: it stages the
// inputs, streams the output, collects what the code left behind and says, from
// facts, why it ended.
package runner

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
	"github.com/takovm/tako/internal/sandbox"
)

// Limits of what an attempt may ask for.
const (
	MaxCode  = 10 << 20  // bytes of code; as much as a configuration may allow
	MaxInput = 100 << 20 // bytes of input data, likewise
	MaxArgs  = 64
	MaxArg   = 4096     // bytes of one argument
	MaxEnv   = 1024     // a request's and its job type's together
	MaxValue = 32 << 10 // bytes of one environment value
	MaxFiles = 100
)

// Attempt is what to run.
type Attempt struct {
	Environment environment.Environment
	// Language and Code are a program in a language of the environment.
	// Command, if set, is run instead of them: a program of the environment
	// and its arguments.
	Language string
	Code     []byte
	Command  []string
	// Args are the program's arguments after its own file.
	Args []string
	Env  map[string]string
	// FixedEnv says that Env is every attempt's of its kind: an interpreter may
	// be started with it ahead of its script.
	FixedEnv bool
	// Preload are modules that an interpreter which is started ahead of its
	// script imports, too.
	Preload []string
	// Tenant, if set, is whose sandboxes this one may be a clone of.
	Tenant string
	// Input is written to /input/data.json; empty is "{}".
	Input json.RawMessage
	// Files go below /input.
	Files []File
	// Stdin is streamed to the program; nil is an empty one.
	Stdin  io.Reader
	Limits job.Limits
	// Network is what the program may reach; nil is nothing.
	Network *egress.Policy
	// Trust, if not nil, is what the program is to trust beside what its
	// environment does.
	Trust *Trust
	// Redact masks what comes out of the sandbox: output, files and their names,
	// and what the record says of them. Nil masks nothing.
	Redact *redact.Masker
	// Ready, if not nil, is called when all is staged or at hand. The program starts when
	// it returns; with an error of its own the attempt ends instead. It is called
	// again where another sandbox takes the place of one that has died.
	Ready func(context.Context) error
}

// Trust are certificate authorities, in PEM.
type Trust struct {
	// All has every one that is to be trusted, Own only those that nobody else
	// would.
	All, Own []byte
}

// File is one more input.
type File struct {
	// Path is relative to /input, with '/' between parts.
	Path string
	Size int64
	// Open answers the content, exactly Size bytes. Errors of it and of reading
	// that are job.KindInvalid or job.KindNotFound are the request's fault; others
	// end the attempt as job.KindUnavailable.
	Open func() (io.ReadCloser, error)
}

// Sinks take what an attempt produces while it runs. A nil sink takes nothing.
type Sinks struct {
	// Stdout and Stderr get each stream live, at most Live bytes of it; 0 is as
	// much as the limits have kept. A sink that fails gets no more, and Result.Lost says so; the attempt goes
	// on.
	Stdout, Stderr io.Writer
	Live           int64
	// Keep puts the streams into the Result, too.
	Keep bool
	// Artifact takes one file of /output: exactly size bytes from r, or an
	// error from r for a file that changed meanwhile. Its error skips the file.
	Artifact func(name string, size int64, r io.Reader) error
}

// Result is what one attempt produced. It is complete whatever happened: an
// attempt that could not be started has a Result, too.
type Result struct {
	Status   job.Status
	ExitCode *int // of the program; nil when it never ran or never ended
	Error    *job.Failure
	EndedBy  job.EndedBy
	Timing   job.Timing
	Usage    job.Usage
	// Output is the content of /output/result.json, nil when there is none or
	// it is not JSON; OutputNote says so.
	Output     json.RawMessage
	OutputNote string
	Artifacts  []job.Artifact
	// Skipped are files of /output that were left behind, and why.
	Skipped []string
	Stdout  Stream
	Stderr  Stream
	// Lost is what the caller's own side could not take or give: a sink that
	// failed, an input that could not be read. It decides no status.
	Lost error
	// Leftovers says what of the sandbox could not be removed, nil when nothing
	// is left. The attempt has ended by then: it decides no status, either.
	Leftovers error
	// Unenforced are limits that held nothing on this host.
	Unenforced []string
	// Environment is what it ran in.
	Environment environment.Environment
	// Network is what it did with its network; nil without one.
	Network *job.NetworkUse
	// SandboxID names the sandbox in logs; Supply is where it came from.
	SandboxID string
	Supply    job.Supply
}

// Runner runs attempts.
type Runner struct {
	Supplier *sandbox.Supplier
}

// Run runs one attempt and always returns a Result. The error is not nil when
// tako itself, not the program, is why there is nothing better to report: the
// request was invalid, no sandbox could be had, the engine died. When ctx ends
// the sandbox is destroyed at once and the attempt is cancelled.
func (r *Runner) Run(ctx context.Context, a Attempt, sinks Sinks) (*Result, error) {
	if err := a.validate(); err != nil {
		return nil, err
	}
	run := newRun(a, sinks)
	return run.do(ctx, r.Supplier)
}

// Prepare makes sure that attempts of a's shape find a snapshot. For those that
// cannot be held it does nothing.
func (r *Runner) Prepare(ctx context.Context, a Attempt) error {
	if err := a.validate(); err != nil {
		return err
	}
	return r.Supplier.Prepare(ctx, newRun(a, Sinks{}).request())
}

// Warm has n sandboxes for attempts of a's shape made ready, where there is a
// pool and a can be held.
func (r *Runner) Warm(a Attempt, n int) error {
	if err := a.validate(); err != nil {
		return err
	}
	return r.Supplier.Warm(newRun(a, Sinks{}).request(), n)
}

// clock is one attempt's stop-watch.
type clock struct {
	begun, started, ended time.Time
}

func (c *clock) timing(phase job.Phase) job.Timing {
	now := time.Now()
	t := job.Timing{Total: now.Sub(c.begun), PhaseAtExit: phase}
	switch {
	case c.started.IsZero():
		t.Startup = t.Total
	case c.ended.IsZero():
		t.Startup, t.Execution = c.started.Sub(c.begun), now.Sub(c.started)
	default:
		t.Startup, t.Execution = c.started.Sub(c.begun), c.ended.Sub(c.started)
	}
	return t
}
