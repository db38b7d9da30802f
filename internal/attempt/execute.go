// Package attempt runs one attempt of a job: it turns the record into what the
// runner takes, keeps what the program says as events, its files as blobs, and
// turns what came of it into the record's outcome.
package attempt

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// Executor runs attempts on this machine.
type Executor struct {
	Runner interface {
		Run(ctx context.Context, a runner.Attempt, sinks runner.Sinks) (*runner.Result, error)
	}
	Blobs  Blobs
	Engine engine.Info
	Host   string // the name of this node, for records
	// Environments makes what a job asks for beyond this machine's environment.
	Environments Environments
	// Packages says that requests may ask for packages, Images that they may for
	// an image.
	Packages, Images bool
	// Egress is what policies of networks are made with.
	Egress egress.Options
	// Secrets has the values of what job types bind; nil has none. Trust is what
	// programs of such types trust, and asked for theirs only.
	Secrets Secrets
	Trust   func() *runner.Trust
	// MaxLog bounds a job's log of events, in bytes; 0 is no bound.
	MaxLog int64
	// PerKey has no sandboxes of two owners be clones of one snapshot.
	PerKey bool
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log is told what no record says; default nobody.
	Log *slog.Logger
}

// Run runs one attempt of rec and returns when its sandbox is gone. When ctx
// ends, the attempt is cancelled; its cause says by whom (runner.ErrOperator
// for this server).
func (e *Executor) Run(ctx context.Context, rec *job.Record, t job.Type, log func(context.Context, []job.Event) error) job.Ended {
	p := newPump(log, len(rec.Attempts), e.now())
	a, err := e.plan(ctx, &rec.Request, t)
	if err != nil {
		return e.refused(ctx, p, err)
	}
	if e.PerKey {
		a.Tenant = rec.Owner
	}
	stop := p.start(ctx)
	defer stop()
	if a.Environment, err = e.environment(ctx, &rec.Request, t, p); err != nil {
		stop()
		return e.refused(ctx, p, err)
	}
	res, err := e.stream(ctx, a, p)
	stop()
	if res == nil { // the attempt was not valid after all
		return e.refused(ctx, p, err)
	}
	if res.Leftovers != nil {
		e.log().Error("a sandbox was not cleaned up", "job", rec.ID, "sandbox", res.SandboxID, "error", res.Leftovers)
	}
	r := job.Ended{Status: res.Status, Outcome: e.outcome(res)}
	switch {
	case ctx.Err() != nil:
	case err != nil:
		r.Again = infrastructure(err)
	case unstored(res):
		e.log().Error("the files of a job could not be stored", "job", rec.ID, "error", res.Lost)
		e.fail(&r, res.Lost)
	}
	e.last(p, &r)
	return r
}

// unstored reports a program that came to its end and whose files we could not
// keep. Where a limit was the end, that stays what is told: of what is left then
// only as much is taken as can be had.
func unstored(res *runner.Result) bool {
	return res.Lost != nil && res.EndedBy.Actor == job.ActorUserCode && job.KindOf(res.Lost) != job.KindInvalid
}

// fail makes an end a failure of this host, which another attempt may not have.
// What the program did stays in the record.
func (e *Executor) fail(r *job.Ended, lost error) {
	text := strings.ReplaceAll(lost.Error(), "\n", "; ")
	failure := job.Failure{
		Type: "service_unavailable", Message: message("The files of the job could not be stored: " + text), Phase: r.Outcome.Timing.PhaseAtExit,
	}
	r.Status, r.Again = job.Failed, true
	r.Outcome.Error, r.Outcome.EndedBy = &failure, job.EndedBy{Actor: job.ActorHost, Detail: failure.Message}
}

func (e *Executor) now() func() time.Time {
	if e.Now != nil {
		return e.Now
	}
	return time.Now
}

func (e *Executor) log() *slog.Logger {
	if e.Log != nil {
		return e.Log
	}
	return slog.New(slog.DiscardHandler)
}

// stream runs a and has the pump told what it says.
func (e *Executor) stream(ctx context.Context, a runner.Attempt, p *pump) (*runner.Result, error) {
	return e.Runner.Run(ctx, a, runner.Sinks{
		Stdout: p.stdout(), Stderr: p.stderr(), Live: e.live(), Keep: true,
		Artifact: func(name string, size int64, r io.Reader) error {
			if _, _, err := e.Blobs.Put(ctx, r, size); err != nil {
				return fmt.Errorf("keeping %s: %w", name, err)
			}
			return nil
		},
	})
}

// live is how much of each stream goes into the log: one byte more than it
// takes, so that it says what it does not hold.
func (e *Executor) live() int64 {
	if e.MaxLog <= 0 {
		return math.MaxInt64
	}
	return e.MaxLog + 1
}

// infrastructure reports an error that another attempt may not have.
func infrastructure(err error) bool {
	switch job.KindOf(err) {
	case job.KindEngine, job.KindUnavailable, job.KindInternal:
		return true
	}
	return false
}

// refused ends an attempt that asked for what cannot be. Where ctx has ended,
// that is why, whatever the error says of it.
func (e *Executor) refused(ctx context.Context, p *pump, err error) job.Ended {
	if ctx.Err() != nil {
		return e.cancelled(ctx, p)
	}
	code := -1
	failure := job.Failure{Type: "config_error", Message: message(err.Error()), Phase: job.PhaseStartup}
	switch job.KindOf(err) {
	case job.KindInvalid, job.KindConfig:
	case job.KindDependency, job.KindNotFound:
		failure.Type = "dependency_error"
	default:
		failure.Type = "service_unavailable"
	}
	r := job.Ended{Status: job.Failed, Again: infrastructure(err), Outcome: job.Outcome{
		ExitCode: &code, Error: &failure, Host: e.Host,
		EndedBy: job.EndedBy{Actor: job.ActorHost, Detail: failure.Message},
		Timing:  job.Timing{PhaseAtExit: job.PhaseStartup},
	}}
	e.last(p, &r)
	return r
}

// cancelled ends an attempt that never had a sandbox, as the runner ends those
// that had one.
func (e *Executor) cancelled(ctx context.Context, p *pump) job.Ended {
	failure := runner.Cancelled(job.PhaseStartup)
	r := job.Ended{Status: job.Cancelled, Outcome: job.Outcome{
		Error: &failure, Host: e.Host,
		EndedBy: job.EndedBy{Actor: runner.CancelledBy(ctx)},
		Timing:  job.Timing{PhaseAtExit: job.PhaseStartup},
	}}
	e.last(p, &r)
	return r
}

// last gathers the events that are left. The store adds the end itself.
func (e *Executor) last(p *pump, r *job.Ended) {
	rest := p.rest()
	for _, a := range r.Outcome.Artifacts {
		p.say(job.EventArtifact, a)
	}
	r.Events = append(rest, p.take()...)
}

// outcome is what the record keeps of a result.
func (e *Executor) outcome(res *runner.Result) job.Outcome {
	o := job.Outcome{
		ExitCode: res.ExitCode, Stdout: valid(res.Stdout.Kept), Stderr: valid(res.Stderr.Kept),
		StdoutTruncated: res.Stdout.Truncated, StderrTruncated: res.Stderr.Truncated,
		Output: res.Output, OutputNote: res.OutputNote, EndedBy: res.EndedBy, Timing: res.Timing, Usage: res.Usage,
		Artifacts: res.Artifacts, Skipped: res.Skipped, Host: e.Host, Network: res.Network,
		Environment: job.EnvironmentRef{Name: res.Environment.Name, Version: res.Environment.Version, Digest: res.Environment.Digest},
		Sandbox: job.SandboxRef{
			Supply: res.Supply, Engine: e.Engine.Name, EngineVersion: e.Engine.Version, Unenforced: res.Unenforced,
		},
	}
	if res.Error != nil {
		failure := *res.Error
		failure.Message = message(failure.Message)
		o.Error = &failure
	}
	return o
}

func valid(b []byte) string { return strings.ToValidUTF8(string(b), "\uFFFD") }

// message is a record's, which has 1 to 4,096 bytes.
func message(s string) string {
	const most = 4096
	if s == "" {
		return "unknown"
	}
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}
