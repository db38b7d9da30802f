package tako

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"github.com/takovm/tako/internal/job"
)

// Options are all optional.
type Options struct {
	// Language is python, node or bash, as the environment has them. Default
	// python.
	Language string
	// Args are the program's arguments.
	Args []string
	// Env are variables of the program.
	Env map[string]string
	// Input is written to /input/data.json; it has to be a JSON object.
	Input any
	// Files are written below /input, by relative path.
	Files map[string][]byte
	// Stdin is the program's standard input; default an empty one. A reader
	// that blocks is not waited for once the program has ended.
	Stdin io.Reader
	// Stdout and Stderr get what the program writes while it runs.
	Stdout, Stderr io.Writer
	// Artifact gets each file that the program leaves in /output, name with '/'
	// between parts. The name is the program's choice: it has no "..", but open
	// it with os.Root all the same. Files are dropped without it.
	Artifact func(name string, size int64, r io.Reader) error
	// Timeout, Memory (bytes) and CPUs bound the program; default the
	// configuration's: 30 s, 512 MiB, 1.
	Timeout time.Duration
	Memory  int64
	CPUs    float64
	// Hosts are what the program may reach: api.example.com, *.example.com,
	// 203.0.113.0/24, each with an optional :port. Default nothing.
	Hosts []string
	// Packages are installed first: Python's as numpy or pandas>=2, npm's as
	// npm:lodash. What was installed once is there the next time.
	Packages []string
	// Image is a container image to run in, pulled if it is not here.
	Image string
	// Config is a configuration file; default those of tako run.
	Config string
	// Executable is executed to be the sandbox: a binary whose main begins with
	// Child, such as the tako command of the same version. Default this program.
	Executable string
}

// Result is what became of code.
type Result struct {
	Status Status
	// ExitCode is the program's own; 124 when its time ran out, -1 when it never
	// ran.
	ExitCode int
	// Stdout and Stderr are the first bytes, 64 KiB by default.
	Stdout          string `json:"-"`
	Stderr          string `json:"-"`
	StdoutTruncated bool
	StderrTruncated bool
	// Output is what the program left in /output/result.json; nil without one.
	Output json.RawMessage `json:",omitempty"`
	// Error says what went wrong; nil when nothing did.
	Error   *Failure
	EndedBy EndedBy
	Timing  Timing
	Usage   Usage
	// Artifacts are the files that the program left, Skipped those that were
	// left behind, and why.
	Artifacts []Artifact
	Skipped   []string
	// Unenforced are limits that held nothing on this host; empty in strict mode.
	Unenforced []string
	// Denied are connections that were refused.
	Denied []Denied
	// Leftovers says what of the sandbox could not be removed; mostly empty.
	Leftovers string
}

// What a result is made of.
type (
	// Status is how code ended.
	Status = job.Status
	// Failure says what went wrong.
	Failure = job.Failure
	// EndedBy is why code ended.
	EndedBy = job.EndedBy
	// Timing is how long phases took.
	Timing = job.Timing
	// Usage is what the program used.
	Usage = job.Usage
	// Artifact is a file that the program left.
	Artifact = job.Artifact
	// Denied is a connection that was refused.
	Denied = job.Denied
	// Error is why nothing could be run. It has a kind, what is wrong, and the mend.
	Error = job.Error
	// Kind is what sort of failure an Error is.
	Kind = job.Kind
)

// Statuses of a result.
const (
	Succeeded = job.Succeeded
	Failed    = job.Failed
	TimedOut  = job.Timeout
	OOM       = job.OOM
	Cancelled = job.Cancelled
)

// Kinds of errors.
const (
	KindInvalid     = job.KindInvalid     // the options or the code are wrong
	KindNotFound    = job.KindNotFound    // an image that is not there
	KindConfig      = job.KindConfig      // the configuration is wrong
	KindUnavailable = job.KindUnavailable // this host cannot do it now
	KindUnsupported = job.KindUnsupported // this version cannot do it
	KindDependency  = job.KindDependency  // packages or an image cannot be had
	KindEngine      = job.KindEngine      // the sandbox failed
	KindInternal    = job.KindInternal    // a defect of tako
)

// Run runs code in a fresh sandbox, with the Options if there are any, and waits
// for its end. Code that fails is no error: the result says so. An error is an
// *Error with the mend, or that of ctx, whose end destroys the sandbox, or one
// of what Options reads and writes. Any number may run at once; what they hold
// together is the caller's to bound.
func Run(ctx context.Context, code string, opts ...Options) (*Result, error) {
	var o Options
	switch len(opts) {
	case 0:
	case 1:
		o = opts[0]
	default:
		return nil, job.Errorf(job.KindInvalid, "%d Options: one of them says it all", len(opts))
	}
	r, err := newRequest(code, o)
	if err != nil {
		return nil, err
	}
	return r.run(ctx, o)
}
