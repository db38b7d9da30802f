package runner

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/egress"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/redact"
	"github.com/takovm/tako/internal/sandbox"
)

const (
	// reaction is how long a sandbox may take to report the end of a program
	// that was killed, and to hand over what that left, before it is destroyed.
	reaction = 400 * time.Millisecond
	// collectBudget bounds the collection of /output after an ordinary end.
	collectBudget = 30 * time.Second
	// verdict is how long the engine may take to say why a sandbox is gone.
	verdict = 2 * time.Second
)

// errStartup, errHung and errCollect are why our own timers ended a context.
var (
	errStartup = errors.New("the startup budget ran out")
	errHung    = errors.New("the sandbox did not react")
	errCollect = errors.New("collecting /output took too long")
)

// run is one attempt under way.
type run struct {
	attempt Attempt
	sinks   Sinks
	clock   clock
	stdout  *capture
	stderr  *capture
	box     *sandbox.Sandbox
	result  Result
	base    engine.Stats // what the sandbox had used when the program started
	// expired is set by our timer before it signals the program.
	expired atomic.Bool
	exit    *guest.Exit     // as init reported it; nil when it did not
	own     []guest.Content // code and input, if they are not staged yet
	staged  bool            // something is in the sandbox
}

func newRun(a Attempt, sinks Sinks) *run {
	r := &run{attempt: a, sinks: sinks, clock: clock{begun: time.Now()}, result: Result{Environment: a.Environment}}
	r.stdout = &capture{mask: a.Redact.Lines(), limit: a.Limits.Stdout, live: sinks.Stdout, liveLimit: sinks.Live, keepHead: sinks.Keep}
	r.stderr = &capture{mask: a.Redact.Lines(), limit: a.Limits.Stderr, live: sinks.Stderr, liveLimit: sinks.Live, keepHead: sinks.Keep, wantTail: true}
	return r
}

// do runs the attempt. Whatever a step fails with becomes part of the result;
// only failures of tako itself are returned as well.
func (r *run) do(ctx context.Context, supplier *sandbox.Supplier) (*Result, error) {
	err := r.start(ctx, supplier)
	if err == nil {
		err = r.execute(ctx)
	}
	if err == nil {
		err = r.collect(ctx)
	}
	fault := r.conclude(ctx, err)
	r.result.Network = r.network()
	r.blameNetwork()
	if r.box != nil {
		r.result.Leftovers = r.release(supplier)
	}
	if r.result.ExitCode == nil {
		r.result.ExitCode = new(neverRanCode)
	}
	r.result.Timing = r.clock.timing(r.result.Timing.PhaseAtExit)
	return &r.result, fault
}

// start launches a sandbox, stages the inputs and starts the program, within
// the startup budget.
func (r *run) start(ctx context.Context, supplier *sandbox.Supplier) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.attempt.Limits.Startup, errStartup)
	defer cancel()
	err := r.startIn(ctx, supplier)
	if box := r.box; r.stillborn(err) && ctx.Err() == nil {
		r.box = nil
		if err = supplier.Retire(box); err == nil {
			err = r.startIn(ctx, supplier)
		}
	}
	if err != nil {
		return cause(ctx, err)
	}
	r.clock.started = time.Now()
	return nil
}

// stillborn reports that the sandbox had waited and died before anything of the
// attempt was in it. Another takes its place.
func (r *run) stillborn(err error) bool {
	if r.box == nil || r.box.Supply != job.SupplyPool || r.staged {
		return false
	}
	// Code that goes with the release may have run, unless it was not sent, or not
	// read to its end, which is when the kernel says reset (unix(7)).
	died := errors.Is(err, guest.ErrUnsent) || errors.Is(err, guest.ErrLost) && (r.own == nil || errors.Is(err, syscall.ECONNRESET))
	return died && r.lost().Cause != engine.CauseMemory
}

// startIn starts the program in the sandbox that the supplier gives.
func (r *run) startIn(ctx context.Context, supplier *sandbox.Supplier) error {
	box, err := supplier.Launch(ctx, r.request())
	if err != nil {
		return err
	}
	r.box, r.own = box, nil
	r.result.SandboxID = box.ID()
	r.result.Supply = box.Supply
	r.result.Unenforced = box.Unenforced()
	if box.Link != nil {
		if err := box.Link.Attach(r.attempt.Network); err != nil {
			return err
		}
	}
	if err := r.stage(ctx); err != nil {
		return err
	}
	if ready := r.attempt.Ready; ready != nil {
		if err := ready(ctx); err != nil {
			return err
		}
	}
	box.ForgetPeak() // of booting, or of loading a snapshot
	if r.base, err = box.Stats(ctx); err != nil {
		return err
	}
	return r.exec(ctx)
}

// release destroys the sandbox: at once where something may still run in it,
// else while the caller goes on.
func (r *run) release(supplier *sandbox.Supplier) error {
	if r.exit == nil || r.exit.Survivors || r.result.Status != job.Succeeded && r.result.Status != job.Failed {
		return r.box.Destroy()
	}
	return supplier.Retire(r.box)
}

// cause prefers why ctx ended to what a call said about it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// execute waits for the program's end and enforces the execution budget: TERM
// to every process of the user, KILL after the grace, then the sandbox.
func (r *run) execute(ctx context.Context) error {
	l := r.attempt.Limits
	ctx, cancel := context.WithTimeoutCause(ctx, l.Execution+l.KillGrace+reaction, errHung)
	defer cancel()
	term := time.AfterFunc(l.Execution, func() {
		r.expired.Store(true)
		_ = r.box.Session.Signal(ctx, syscall.SIGTERM, true)
	})
	defer term.Stop()
	kill := time.AfterFunc(l.Execution+l.KillGrace, func() {
		_ = r.box.Session.Signal(ctx, syscall.SIGKILL, true)
	})
	defer kill.Stop()
	exit, err := r.box.Session.Wait(ctx)
	r.clock.ended = time.Now()
	if err != nil {
		return cause(ctx, err)
	}
	r.exit = &exit
	if exit.StreamErr != nil {
		r.result.Lost = errors.Join(r.result.Lost, fmt.Errorf("reading standard input: %w", exit.StreamErr))
	}
	return nil
}

// timedOut reports whether the program was still running when its time was up.
// Our timer alone does not say so: this process may have been stopped, or its
// output not taken, while the program came to its end inside.
func (r *run) timedOut() bool {
	return r.expired.Load() && (r.exit == nil || r.exit.Usage.Wall >= r.attempt.Limits.Execution)
}

// lost asks the engine why the conversation with init broke off.
func (r *run) lost() engine.Exit {
	ctx, cancel := context.WithTimeout(context.Background(), verdict)
	defer cancel()
	exit, err := r.box.Wait(ctx)
	if err != nil {
		return engine.Exit{Cause: engine.CauseEngine, Detail: "it broke off the conversation and still runs"}
	}
	return exit
}

// outOfMemory reports that the kernel killed something of the sandbox for
// memory, be the sandbox dead by now or not.
func (r *run) outOfMemory() bool {
	stats, err := r.box.Stats(context.Background())
	return err == nil && stats.OOMKills > 0
}

// conclude turns what happened into status, cause of death and error, and
// returns the error that is tako's own.
func (r *run) conclude(ctx context.Context, err error) error {
	r.result.Stdout = r.stdout.stream(r.written(func(e *guest.Exit) int64 { return e.StdoutBytes }))
	r.result.Stderr = r.stderr.stream(r.written(func(e *guest.Exit) int64 { return e.StderrBytes }))
	r.result.Lost = errors.Join(r.result.Lost, r.stdout.failure("standard output"), r.stderr.failure("standard error"))
	r.usage()
	switch {
	case ctx.Err() != nil && !r.timedOut():
		r.cancelled(ctx)
	case errors.Is(err, errStartup):
		r.startupTimeout()
	case r.box != nil && r.outOfMemory():
		r.oom()
	case errors.Is(err, errHung), r.timedOut():
		r.executionTimeout()
	case errors.Is(err, errCollect):
		r.result.Skipped = append(r.result.Skipped, "the rest: "+errCollect.Error())
		r.exited()
	case err != nil:
		return r.failed(err)
	default:
		r.exited()
	}
	return nil
}

func (r *run) written(of func(*guest.Exit) int64) int64 {
	if r.exit == nil {
		return 0
	}
	return of(r.exit)
}

// network is what went through the sandbox's link, and what did not.
func (r *run) network() *job.NetworkUse {
	if r.attempt.Network == nil {
		return nil
	}
	use := &job.NetworkUse{Mode: r.attempt.Network.Mode()}
	if r.box == nil {
		return use
	}
	report := r.box.Link.Report()
	use.BytesIn, use.BytesOut = report.BytesIn, report.BytesOut
	use.Denied = denied(report.Denied, r.attempt.Redact)
	return use
}

// denied is what was refused, masked: the program chose names, which stand in
// reasons, too.
func denied(rows []egress.Denied, m *redact.Masker) (list []job.Denied) {
	for _, d := range rows {
		list = append(list, job.Denied{Host: m.String(d.Host), Port: int(d.Port), Reason: m.String(d.Reason), Count: d.Count})
	}
	return list
}

// usage is what the program used, by the kernel's count of its sandbox since it
// started: processes that nobody waits for are in it, and so is what the
// sandbox's own kernel did for them. Where nothing counts, init's sum of what
// it reaped has to do, which a program can keep low.
func (r *run) usage() {
	if r.clock.started.IsZero() {
		return
	}
	u := job.Usage{Wall: r.clock.timing("").Execution}
	if r.exit != nil {
		u = job.Usage{MaxRSS: r.exit.Usage.MaxRSS, CPUTime: r.exit.Usage.CPUTime, Wall: r.exit.Usage.Wall}
	}
	if stats, err := r.box.Stats(context.Background()); err == nil {
		if stats.CPUTime > 0 {
			u.CPUTime = stats.CPUTime - r.base.CPUTime
		}
		if stats.MemoryPeak > 0 {
			// An interpreter that was restored is in the base; what init counted
			// for it is not less than its own.
			u.MaxRSS = max(u.MaxRSS, stats.MemoryPeak-r.base.Memory)
		}
	}
	r.result.Usage = u
}
