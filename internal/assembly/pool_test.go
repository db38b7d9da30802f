package assembly

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
	"github.com/takovm/tako/internal/takotest"
)

// newPooled is a rig whose sandboxes wait.
func newPooled(t *testing.T) *rig {
	t.Helper()
	cfg := settings(t)
	l, err := NewLocal(t.Context(), cfg, Options{Executable: takotest.Binary(t), Pool: sandbox.PoolOptions{Max: 4}})
	must(t, err)
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if left := sandboxesBelow(t, cfg.DataDir); len(left) > 0 {
			t.Errorf("%d processes are left", len(left))
		}
	})
	l.Runner.Supplier.Snapshots = &sandbox.Snapshots{Dir: filepath.Join(cfg.DataDir, "cache", "snapshots")}
	return &rig{Local: l, cfg: cfg}
}

// warmed waits until a sandbox waits for attempts like a.
func (r *rig) warmed(t *testing.T, a runner.Attempt) {
	t.Helper()
	must(t, r.Warm(a, 1))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if st := r.Runner.Supplier.Pool.Stats(t.Context()); st.Ready >= st.Want && st.Ready > 0 {
			return
		}
	}
	t.Fatalf("no sandbox waits: %+v", r.Runner.Supplier.Pool.Stats(t.Context()))
}

// pooled runs an attempt in a sandbox that waited.
func (r *rig) pooled(t *testing.T, ctx context.Context, a runner.Attempt, sinks runner.Sinks) *runner.Result {
	t.Helper()
	r.warmed(t, a)
	res, err := r.Run(ctx, a, sinks)
	must(t, err)
	if res.Supply != job.SupplyPool {
		t.Errorf("its sandbox was supplied %s", res.Supply)
	}
	return res
}

// Every end is what it is in a sandbox that was started for the attempt.
func TestPooledEndings(t *testing.T) {
	takotest.RequireRoot(t)
	r := newPooled(t)
	for _, tc := range []struct {
		name, code string
		limit      func(*job.Limits)
		want       verdict
	}{
		{"good", "print(1)", nil, verdict{status: job.Succeeded, by: job.EndedBy{Actor: job.ActorUserCode}}},
		{"exit code", "raise SystemExit(7)", nil, verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "runtime_error", 7}},
		{"exception", "1/0", nil, verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode}, "division_error", 1}},
		{"segfault", "import os; os.kill(os.getpid(), 11)", nil,
			verdict{job.Failed, job.EndedBy{Actor: job.ActorUserCode, Signal: "SIGSEGV"}, "segfault", 139}},
		{"out of memory", "x = bytearray(b'x') * (1 << 30)", nil,
			verdict{job.OOM, job.EndedBy{Actor: job.ActorMemory, Limit: "memory", Signal: "SIGKILL"}, "oom", 137}},
		{"out of time", "while True: pass", func(l *job.Limits) { l.Execution = 500 * time.Millisecond },
			verdict{job.Timeout, job.EndedBy{Actor: job.ActorTimeout, Limit: "timeout", Signal: "SIGTERM"}, "execution_timeout", 124}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := r.python(tc.code)
			if tc.limit != nil {
				tc.limit(&a.Limits)
			}
			tc.want.check(t, r.pooled(t, t.Context(), a, runner.Sinks{Keep: true}))
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		live := newAnnounced()
		go func() { <-live.up; cancel(errors.New("enough")) }()
		res := r.pooled(t, ctx, r.python("print('up', flush=True)\nwhile True: pass"), runner.Sinks{Stdout: live})
		if res.Status != job.Cancelled {
			t.Errorf("it ended as %s", show(res))
		}
	})
}

// Nothing of one attempt is there for the next: no file, no process, no
// variable, no object of the kernel, no descriptor.
func TestPooledSingleUse(t *testing.T) {
	r := newPooled(t)
	leave := `
import ctypes, os, subprocess, sys
for d in ("/tmp", "/app", "/output", "/dev/shm"):
    open(d + "/mark", "w").write("MARK")
os.environ["MARK"] = "1"
libc = ctypes.CDLL(None, use_errno=True)
print("shm", libc.shmget(0x4d41524b, 4096, 0o1666) >= 0)
print("sem", libc.semget(0x4d41524b, 1, 0o1666) >= 0)
print("msg", libc.msgget(0x4d41524b, 0o1666) >= 0)
subprocess.Popen([sys.executable, "-c", "import time; MARK = 1; time.sleep(1000)"], start_new_session=True)
os.umask(0)
os.nice(5)
`
	look := `
import ctypes, os
found = []
for top in ("/tmp", "/app", "/output", "/dev/shm", "/code", "/input", "/home", "/run", "/var"):
    for d, _, names in os.walk(top):
        found += [os.path.join(d, n) for n in names if n == "mark"]
if "MARK" in os.environ: found.append("variable")
libc = ctypes.CDLL(None)
for name, call in (("shm", lambda: libc.shmget(0x4d41524b, 0, 0)), ("sem", lambda: libc.semget(0x4d41524b, 0, 0)), ("msg", lambda: libc.msgget(0x4d41524b, 0))):
    if call() >= 0: found.append(name)
for pid in filter(str.isdigit, os.listdir("/proc")):
    try: line = open(f"/proc/{pid}/cmdline").read()
    except OSError: continue
    if "MARK" in line and int(pid) != os.getpid(): found.append(line)
if os.umask(0o22) != 0o22: found.append("umask")
if os.nice(0) != 0: found.append("nice")
print(sorted(os.listdir("/proc/self/fd")), found)
`
	clean := string(r.pooled(t, t.Context(), r.python(look), runner.Sinks{Keep: true}).Stdout.Kept)
	if !strings.HasSuffix(clean, " []\n") {
		t.Fatalf("before: %s", clean)
	}
	res := r.pooled(t, t.Context(), r.python(leave), runner.Sinks{Keep: true})
	if res.Status != job.Succeeded || strings.Contains(string(res.Stdout.Kept), "False") {
		t.Errorf("leaving: %s", show(res))
	}
	if after := r.pooled(t, t.Context(), r.python(look), runner.Sinks{Keep: true}); string(after.Stdout.Kept) != clean {
		t.Errorf("after: %s, before: %s", show(after), clean)
	}
}

// A sandbox that dies while it waits costs time, and no attempt.
func TestPooledDies(t *testing.T) {
	r := newPooled(t)
	a := r.python("print(1)")
	r.warmed(t, a)
	for _, pid := range sandboxesBelow(t, r.cfg.DataDir) {
		must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
	res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
	must(t, err)
	if res.Status != job.Succeeded || string(res.Stdout.Kept) != "1\n" {
		t.Errorf("it ended as %s", show(res))
	}
}

// Memory that the inputs alone go over is the job's fault in a sandbox that
// waited, too: no other is tried.
func TestPooledStagingOutOfMemory(t *testing.T) {
	takotest.RequireRoot(t)
	r := newPooled(t)
	a := r.python("print(1)")
	a.Limits.Memory = 64 << 20
	r.warmed(t, a)
	content := strings.Repeat("x", 60<<20)
	a.Files = []runner.File{{Path: "big", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}}
	must(t, r.Warm(a, 2))
	r.warmed(t, a)
	res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
	must(t, err)
	if res.Status != job.OOM {
		t.Errorf("it ended as %s", show(res))
	}
	if st := r.Runner.Supplier.Pool.Stats(t.Context()); st.Hits > 1 {
		t.Errorf("%d sandboxes were used", st.Hits)
	}
}

// What waits in an environment whose image is found corrupt is let go with it.
func TestPooledForgets(t *testing.T) {
	r := newPooled(t)
	a := r.python("print(1)")
	r.warmed(t, a)
	r.forgetPool()
	res, err := r.Run(t.Context(), a, runner.Sinks{Keep: true})
	must(t, err)
	if res.Supply == job.SupplyPool || res.Status != job.Succeeded {
		t.Errorf("it came from %s and ended as %s", res.Supply, show(res))
	}
}
