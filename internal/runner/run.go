package runner

import (
	"context"
	"errors"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/sandbox"
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
	// timedOut is set by our timer before it does anything to the program.
	timedOut atomic.Bool
	exit     *guest.Exit // as init reported it; nil when it did not
}

func newRun(a Attempt, sinks Sinks) *run {
	r := &run{attempt: a, sinks: sinks, clock: clock{begun: time.Now()}}
	r.stdout = newCapture(a.Limits.Stdout, sinks.Stdout, false)
	r.stderr = newCapture(a.Limits.Stderr, sinks.Stderr, true)
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
	if r.box != nil {
		fault = errors.Join(fault, r.box.Destroy())
	}
	r.result.Timing = r.clock.timing(r.result.Timing.PhaseAtExit)
	return &r.result, fault
}

// start launches a sandbox, stages the inputs and starts the program, within
// the startup budget.
func (r *run) start(ctx context.Context, supplier *sandbox.Supplier) error {
	ctx, cancel := context.WithTimeoutCause(ctx, r.attempt.Limits.Startup, errStartup)
	defer cancel()
	box, err := supplier.Launch(ctx, r.request())
	if err != nil {
		return cause(ctx, err)
	}
	r.box = box
	r.result.SandboxID = box.ID()
	r.result.Unenforced = box.Unenforced()
	if err := r.stage(ctx); err != nil {
		return cause(ctx, err)
	}
	if err := r.exec(ctx); err != nil {
		return cause(ctx, err)
	}
	r.clock.started = time.Now()
	return nil
}

// errStartup and errHung are why our own timers ended a context.
var (
	errStartup = errors.New("the startup budget ran out")
	errHung    = errors.New("the sandbox did not react")
)

// cause prefers why ctx ended to what a call said about it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// patience is how long the sandbox may take to do what it cannot refuse: to
// report the end of a program that was killed, to hand over files.
const patience = 2 * time.Second

// collectBudget bounds the collection of /output.
const collectBudget = 60 * time.Second

// execute waits for the program's end and enforces the execution budget: TERM
// to every process of the user, KILL after the grace, then the sandbox.
func (r *run) execute(ctx context.Context) error {
	l := r.attempt.Limits
	ctx, cancel := context.WithTimeoutCause(ctx, l.Execution+l.KillGrace+patience, errHung)
	defer cancel()
	term := time.AfterFunc(l.Execution, func() {
		r.timedOut.Store(true)
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
	return nil
}

// lost asks the engine why the conversation with init broke off.
func (r *run) lost() engine.Exit {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	exit, err := r.box.Wait(ctx)
	if err != nil {
		return engine.Exit{Cause: engine.CauseEngine, Detail: "it broke off the conversation and still runs"}
	}
	return exit
}

// killed reports that the kernel killed something of the sandbox for memory,
// be the sandbox dead by now or not.
func (r *run) outOfMemory(ctx context.Context) bool {
	stats, err := r.box.Stats(ctx)
	return err == nil && stats.OOMKills > 0
}

// conclude turns what happened into status, cause of death and error, and
// returns the error that is tako's own.
func (r *run) conclude(ctx context.Context, err error) error {
	r.result.Stdout = r.stdout.stream(r.written(func(e *guest.Exit) int64 { return e.StdoutBytes }))
	r.result.Stderr = r.stderr.stream(r.written(func(e *guest.Exit) int64 { return e.StderrBytes }))
	if r.exit != nil {
		r.usage()
	}
	switch {
	case ctx.Err() != nil && !r.timedOut.Load():
		r.cancelled(ctx)
	case errors.Is(err, errStartup):
		r.startupTimeout()
	case r.box != nil && r.outOfMemory(context.WithoutCancel(ctx)):
		r.oom()
	case errors.Is(err, errHung), r.timedOut.Load():
		r.executionTimeout()
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

func (r *run) usage() {
	r.result.Usage = job.Usage{MaxRSS: r.exit.Usage.MaxRSS, CPUTime: r.exit.Usage.CPUTime, Wall: r.exit.Usage.Wall}
}
