package runner

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/sandbox"
)

// end fills in the result of an attempt that did not simply exit.
func (r *run) end(status job.Status, phase job.Phase, by job.EndedBy, kind, message string) {
	r.result.Status = status
	r.result.EndedBy = by
	r.result.Timing.PhaseAtExit = phase
	r.result.Error = &job.Failure{Type: kind, Message: message, Phase: phase}
}

// phase is the part of the attempt that was under way.
func (r *run) phase() job.Phase {
	if r.clock.started.IsZero() {
		return job.PhaseStartup
	}
	return job.PhaseExecution
}

func (r *run) cancelled(ctx context.Context) {
	failure := Cancelled(r.phase())
	r.end(job.Cancelled, failure.Phase, job.EndedBy{Actor: CancelledBy(ctx), Signal: "SIGKILL"}, failure.Type, failure.Message)
}

// Cancelled is the error of an attempt that was cancelled in this phase.
func Cancelled(phase job.Phase) job.Failure {
	return job.Failure{Type: "cancelled", Message: "Execution was cancelled by user", Phase: phase}
}

// CancelledBy is who ended ctx, an attempt's.
func CancelledBy(ctx context.Context) job.Actor {
	if errors.Is(context.Cause(ctx), ErrOperator) {
		return job.ActorOperator
	}
	return job.ActorCancel
}

// ErrOperator is the cause of a context that whoever runs tako has ended, not
// the caller of the job.
var ErrOperator = errors.New("stopped by the operator")

func (r *run) startupTimeout() {
	budget := seconds(r.attempt.Limits.Startup)
	r.end(job.Timeout, job.PhaseStartup,
		job.EndedBy{Actor: job.ActorTimeout, Limit: "startup_timeout", Signal: "SIGKILL"}, "startup_timeout",
		fmt.Sprintf("Startup phase exceeded time limit (%ss)", budget))
}

func (r *run) executionTimeout() {
	t := r.clock.timing(job.PhaseExecution)
	by := job.EndedBy{Actor: job.ActorTimeout, Limit: "timeout", Signal: "SIGKILL"}
	if r.exit != nil {
		by.Signal = signalName(r.exit.Status)
	}
	r.result.ExitCode = new(timeoutCode) // whatever the program made of SIGTERM
	r.end(job.Timeout, job.PhaseExecution, by, "execution_timeout",
		fmt.Sprintf("Code execution exceeded time limit (%ss) (startup: %dms, execution: %dms)",
			seconds(r.attempt.Limits.Execution), t.Startup.Milliseconds(), t.Execution.Milliseconds()))
}

// timeoutCode is timeout(1)'s, and neverRanCode that of a program that did not
// run to an end of its own: the contract's.
const (
	timeoutCode  = 124
	neverRanCode = -1
)

func seconds(d time.Duration) string {
	return fmt.Sprintf("%g", d.Seconds())
}

func (r *run) oom() {
	code := 128 + int(syscall.SIGKILL) // what the kernel sends
	r.result.ExitCode = &code
	r.end(job.OOM, r.phase(),
		job.EndedBy{Actor: job.ActorMemory, Limit: "memory", Signal: "SIGKILL"}, "oom", "Execution exceeded memory limit")
}

// failed is for what neither the program nor a limit did.
func (r *run) failed(err error) error {
	var exec *guest.ExecError
	switch {
	case errors.As(err, &exec):
		r.notExecutable(exec)
		return nil
	case errors.Is(err, guest.ErrLost) && r.box != nil:
		return r.brokenOff(err)
	case r.box == nil:
		r.end(job.Failed, job.PhaseStartup, job.EndedBy{Actor: actorOf(err), Detail: err.Error()}, "service_unavailable", err.Error())
		return err
	}
	r.end(job.Failed, r.phase(), job.EndedBy{Actor: actorOf(err), Detail: err.Error()}, kindOf(err), err.Error())
	return err
}

// actorOf says whether the engine or the host is behind an error of ours.
func actorOf(err error) job.Actor {
	var file *guest.FileError
	switch {
	case job.KindOf(err) == job.KindInvalid, job.KindOf(err) == job.KindUnavailable, errors.As(err, &file):
		return job.ActorHost
	}
	return job.ActorEngine
}

func kindOf(err error) string {
	if job.KindOf(err) == job.KindInvalid {
		return "config_error"
	}
	return "service_unavailable"
}

// notExecutable is the fault of a command that names no program.
func (r *run) notExecutable(exec *guest.ExecError) {
	code := 126
	kind := "permission"
	if exec.Errno == syscall.ENOENT || exec.Errno == syscall.ENOTDIR {
		code, kind = 127, "file_not_found"
	}
	r.result.ExitCode = &code
	r.end(job.Failed, job.PhaseStartup, job.EndedBy{Actor: job.ActorUserCode, Detail: exec.Error()}, kind, exec.Error())
}

// brokenOff asks the engine why the conversation with init ended.
func (r *run) brokenOff(err error) error {
	exit := r.lost()
	if exit.Cause == engine.CauseMemory {
		r.oom()
		return nil
	}
	fault := job.Errorf(job.KindEngine, "%s: %w", sandbox.Describe(exit), err)
	r.end(job.Failed, r.phase(), job.EndedBy{Actor: job.ActorEngine, Detail: sandbox.Describe(exit)}, "service_unavailable", fault.Msg)
	return fault
}

// exited judges a program that came to its own end.
func (r *run) exited() {
	status := r.exit.Status
	r.exitCode()
	r.result.Timing.PhaseAtExit = job.PhaseCompleted
	r.result.EndedBy = job.EndedBy{Actor: job.ActorUserCode}
	r.result.Status = job.Succeeded
	if status.Exited() && status.ExitStatus() == 0 {
		return
	}
	r.result.Status = job.Failed
	kind, message := "", ""
	if status.Signaled() {
		r.result.EndedBy.Signal = signalName(status)
		kind, message = bySignal(status.Signal())
	} else {
		kind, message = byClaim(r.stderr.end())
	}
	r.result.Timing.PhaseAtExit = job.PhaseExecution
	r.result.Error = &job.Failure{Type: kind, Message: message, Phase: job.PhaseExecution}
}

// exitCode records the program's exit code, as a shell would have it.
func (r *run) exitCode() {
	code := r.exit.Status.ExitStatus()
	if r.exit.Status.Signaled() {
		code = 128 + int(r.exit.Status.Signal())
	}
	r.result.ExitCode = &code
}

func signalName(status syscall.WaitStatus) string {
	if !status.Signaled() {
		return ""
	}
	return unix.SignalName(status.Signal())
}
