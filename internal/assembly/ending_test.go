package assembly

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
)

// Time runs out for every program, whatever it does about it.
func TestExecutionTimeout(t *testing.T) { eachSupply(t, executionTimeout) }

func executionTimeout(t *testing.T, r *rig) {
	timeout := func(signal string) verdict {
		return verdict{
			job.Timeout, job.EndedBy{Actor: job.ActorTimeout, Limit: "timeout", Signal: signal}, "execution_timeout", 124,
		}
	}
	for _, tc := range []struct {
		name, code string
		want       verdict
	}{
		{"sleeps", "import time\ntime.sleep(60)", timeout("SIGTERM")},
		{"burns", "while True: pass", timeout("SIGTERM")},
		{"ignores TERM", "import signal\nsignal.signal(15, signal.SIG_IGN)\nwhile True: pass", timeout("SIGKILL")},
		{"blocks all signals", "import signal, time\nsignal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))\ntime.sleep(60)", timeout("SIGKILL")},
		{"stops itself", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", timeout("SIGKILL")},
		{"stops its group from a child", "import os, signal, time\nif os.fork() == 0:\n    os.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(60)", timeout("SIGKILL")},
		{"exits with 0 after TERM", "import signal, sys, time\nsignal.signal(15, lambda *_: sys.exit(0))\ntime.sleep(60)", timeout("")},
		{"floods", "while True: print('x' * 1000)", timeout("SIGTERM")},
		{"reads what never comes", "import os\nos.read(os.pipe()[0], 1)", timeout("SIGTERM")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const budget, grace = 700 * time.Millisecond, 300 * time.Millisecond
			a := r.python("open('/output/begun', 'w').write('yes')\n"+tc.code, func(l *job.Limits) {
				l.Execution, l.KillGrace = budget, grace
			})
			res := r.run(t, a)
			tc.want.check(t, res)
			if e := res.Timing.Execution; e < budget || e > budget+grace+3*time.Second {
				t.Errorf("it ran for %v of %v", e, budget)
			}
			if len(res.Artifacts) != 1 || res.Artifacts[0].Name != "begun" {
				t.Errorf("what it had written is not there: %v, %v", res.Artifacts, res.Skipped)
			}
		})
	}
}

func TestStartupTimeout(t *testing.T) {
	r := newRig(t)
	res := r.run(t, r.python("print(1)", func(l *job.Limits) { l.Startup = time.Millisecond }))
	verdict{
		job.Timeout, job.EndedBy{Actor: job.ActorTimeout, Limit: "startup_timeout", Signal: "SIGKILL"}, "startup_timeout", noCode,
	}.check(t, res)
	if res.Timing.PhaseAtExit != job.PhaseStartup || res.Timing.Execution != 0 {
		t.Errorf("the timing is %+v", res.Timing)
	}
}

// A daemon that holds the program's streams open does not hold the run.
func TestDaemonDoesNotHoldTheRun(t *testing.T) {
	r := newRig(t)
	res := r.run(t, r.python(`
import os, signal, sys, time
print('from main', flush=True)
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))
        os.write(tell, b'x')
        while True: time.sleep(60)
    os._exit(0)
os.read(ready, 1)
sys.exit(3)
`))
	verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "runtime_error", 3}.check(t, res)
	if string(res.Stdout.Kept) != "from main\n" || res.Timing.Execution > 10*time.Second {
		t.Errorf("the run is %s", show(res))
	}
}

// started runs an attempt that prints in the background and returns when it has.
func started(ctx context.Context, t *testing.T, r *rig, a runner.Attempt) <-chan outcome {
	t.Helper()
	live := newAnnounced()
	ended := make(chan outcome, 1)
	go func() {
		res, err := r.Run(ctx, a, runner.Sinks{Stdout: live, Keep: true})
		ended <- outcome{res, err}
	}()
	select {
	case <-live.up:
	case o := <-ended:
		t.Fatalf("it ended before it printed: %v", o.err)
	}
	return ended
}

type outcome struct {
	res *runner.Result
	err error
}

func TestCancel(t *testing.T) { eachSupply(t, cancel) }

func cancel(t *testing.T, r *rig) {
	for actor, why := range map[job.Actor]error{job.ActorCancel: nil, job.ActorOperator: runner.ErrOperator} {
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := started(ctx, t, r, r.python("import os, time\nos.write(1, b'up\\n')\ntime.sleep(60)"))
		at := time.Now()
		cancel(why)
		o := wait(t, "the end of a cancelled run", ended)
		must(t, o.err)
		verdict{job.Cancelled, job.EndedBy{Actor: actor, Signal: "SIGKILL"}, "cancelled", noCode}.check(t, o.res)
		if took := time.Since(at); took > time.Second {
			t.Errorf("it took %v to cancel", took)
		}
		if !strings.HasPrefix(string(o.res.Stdout.Kept), "up") {
			t.Errorf("its output is %q", o.res.Stdout.Kept)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res, err := r.Run(ctx, r.python("print(1)"), runner.Sinks{})
	must(t, err)
	verdict{job.Cancelled, job.EndedBy{Actor: job.ActorCancel, Signal: "SIGKILL"}, "cancelled", noCode}.check(t, res)
}

// When the sandbox's own process dies, that is never taken for the program's
// exit, whatever signal it was.
func TestEngineDeath(t *testing.T) {
	r := newRig(t)
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV} {
		ended := started(t.Context(), t, r, r.python("import os, time\nos.write(1, b'up\\n')\ntime.sleep(60)"))
		pids := sandboxesBelow(t, r.cfg.DataDir)
		if len(pids) == 0 {
			t.Fatal("no sandbox runs")
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
				t.Fatal(err)
			}
		}
		o := wait(t, "the end of a run whose engine died", ended)
		if job.KindOf(o.err) != job.KindEngine {
			t.Errorf("%v: the error is %v, of kind %s", sig, o.err, job.KindOf(o.err))
		}
		verdict{job.Failed, job.EndedBy{Actor: job.ActorEngine}, "service_unavailable", noCode}.check(t, o.res)
		if o.res.EndedBy.Detail == "" {
			t.Errorf("%v: nothing is said about it", sig)
		}
	}
}

// Nobody inside can end the sandbox's init, or make the engine look dead.
func TestProgramCannotEndTheSandbox(t *testing.T) {
	r := newRig(t)
	out := r.print(t, r.python(`
import os, signal
others = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
for sig in others: signal.signal(sig, signal.SIG_IGN)
def send(pid, sig):
    try: os.kill(pid, sig)
    except (PermissionError, ProcessLookupError): pass
for sig in signal.valid_signals(): send(1, sig)
for sig in others: send(-1, sig)
print('alive')
`))
	if out != "alive\n" {
		t.Errorf("it printed %q", out)
	}
}

// A taker of output that has stopped taking does not keep the run from its end.
func TestBlockedLiveSink(t *testing.T) {
	r := newRig(t)
	pr, pw, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { pr.Close(); pw.Close() })
	a := r.python("while True: print('x' * 1000)", func(l *job.Limits) {
		l.Execution, l.KillGrace, l.Stdout = time.Second, 200*time.Millisecond, 1<<30
	})
	ended := make(chan outcome, 1)
	go func() {
		res, err := r.Run(t.Context(), a, runner.Sinks{Stdout: pw})
		ended <- outcome{res, err}
	}()
	o := wait(t, "the end of a run whose output nobody takes", ended)
	must(t, o.err)
	if o.res.Status != job.Timeout || o.res.EndedBy.Actor != job.ActorTimeout {
		t.Errorf("it ended as %s", show(o.res))
	}
	if o.res.Timing.Total > 10*time.Second {
		t.Errorf("it took %v", o.res.Timing.Total)
	}
}

// A sink that fails gets no more; the attempt goes on and says what was lost.
func TestFailingSinks(t *testing.T) {
	r := newRig(t)
	a := r.python("import sys\nprint('out'); print('err', file=sys.stderr)\nopen('/output/a', 'w').write('a')")
	broken := errors.New("no more paper")
	res := r.runInto(t, a, runner.Sinks{
		Stdout: failing{broken}, Stderr: failing{broken}, Keep: true,
		Artifact: func(string, int64, io.Reader) error { return broken },
	})
	verdict{job.Succeeded, job.EndedBy{Actor: job.ActorUserCode}, "", 0}.check(t, res)
	if string(res.Stdout.Kept) != "out\n" || string(res.Stderr.Kept) != "err\n" {
		t.Errorf("kept are %q and %q", res.Stdout.Kept, res.Stderr.Kept)
	}
	if !errors.Is(res.Lost, broken) || len(res.Artifacts) != 0 || len(res.Skipped) != 1 {
		t.Errorf("lost: %v; artifacts %v, skipped %v", res.Lost, res.Artifacts, res.Skipped)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// Whatever kills a program by a signal of its own is the program's doing.
func TestSignalsOfTheProgram(t *testing.T) { eachSupply(t, signalsOfTheProgram) }

func signalsOfTheProgram(t *testing.T, r *rig) {
	for sig, want := range map[string]struct {
		kind string
		code int
	}{
		"SIGKILL": {"killed", 137}, "SIGSEGV": {"segfault", 139}, "SIGABRT": {"abort", 134},
		"SIGFPE": {"arithmetic_error", 136}, "SIGBUS": {"bus_error", 135}, "SIGTERM": {"cancelled", 143},
		"SIGUSR1": {"runtime_error", 138},
	} {
		res := r.run(t, r.python("import os, signal\nos.kill(os.getpid(), signal."+sig+")"))
		verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode, Signal: sig}, want.kind, want.code}.check(t, res)
	}
}
