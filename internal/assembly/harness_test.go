package assembly

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
	"github.com/takovm/tako/internal/takotest"
)

// patience bounds waits for what has to happen; nothing waits that long.
const patience = 30 * time.Second

// settings are a configuration with a data directory of its own, whose cache
// of environments is this machine's for tests.
func settings(t *testing.T) *config.Config {
	t.Helper()
	env, _ := takotest.Images(t)
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "cache"), 0o700))
	must(t, os.Symlink(filepath.Dir(env.Image), filepath.Join(dir, "cache", "environments")))
	cfg := config.Default(dir)
	if os.Geteuid() != 0 {
		cfg.SecurityMode = config.Permissive
	}
	return cfg
}

// rig is what one process needs to run jobs, closed with the test. Its
// sandboxes are booted for each attempt, unless it is told to restore them.
type rig struct {
	*Local
	cfg      *config.Config
	snapshot *sandbox.Snapshots // nil: boot
}

// eachSupply runs a test with sandboxes of each kind.
func eachSupply(t *testing.T, test func(*testing.T, *rig)) {
	t.Helper()
	t.Run("cold", func(t *testing.T) { test(t, newRig(t)) })
	t.Run("restored", func(t *testing.T) {
		r := newRig(t)
		r.snapshot = &sandbox.Snapshots{Dir: filepath.Join(r.cfg.DataDir, "cache", "snapshots")}
		r.Runner.Supplier.Snapshots = r.snapshot
		test(t, r)
	})
}

func newRig(t *testing.T) *rig {
	t.Helper()
	cfg := settings(t)
	l, err := NewLocal(t.Context(), cfg, Options{Executable: takotest.Binary(t)})
	if err != nil {
		t.Fatalf("building the parts: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	l.Runner.Supplier.Snapshots = nil
	return &rig{Local: l, cfg: cfg}
}

// python is an attempt at code under small limits, as the changes leave them.
func (r *rig) python(code string, changes ...func(*job.Limits)) runner.Attempt {
	l := job.DefaultLimits()
	l.Memory = 256 << 20
	l.Execution = patience
	l.Startup = patience
	for _, change := range changes {
		change(&l)
	}
	return runner.Attempt{Environment: r.Current(), Language: "python", Code: []byte(code), Limits: l}
}

// run runs an attempt that has a result and no fault of tako's own.
func (r *rig) run(t *testing.T, a runner.Attempt) *runner.Result {
	t.Helper()
	return r.runInto(t, a, runner.Sinks{Keep: true})
}

func (r *rig) runInto(t *testing.T, a runner.Attempt, sinks runner.Sinks) *runner.Result {
	t.Helper()
	r.prepare(t, a)
	res, err := r.Run(t.Context(), a, sinks)
	if err != nil {
		t.Fatalf("run: %v", err)
	}
	if wanted := r.supply(a); res.Supply != wanted && res.Supply != "" { // it may never have had one
		t.Errorf("its sandbox was supplied %s, not %s", res.Supply, wanted)
	}
	return res
}

// prepare makes the snapshot for an attempt, if it is to come from one.
func (r *rig) prepare(t *testing.T, a runner.Attempt) {
	t.Helper()
	if r.supply(a) == job.SupplyRestore {
		must(t, r.Runner.Prepare(t.Context(), a))
	}
}

func (r *rig) supply(a runner.Attempt) job.Supply {
	if r.snapshot != nil && a.Holdable() {
		return job.SupplyRestore
	}
	return job.SupplyCold
}

// print runs code that succeeds and returns what it printed.
func (r *rig) print(t *testing.T, a runner.Attempt) string {
	t.Helper()
	res := r.run(t, a)
	if res.Status != job.Succeeded {
		t.Fatalf("it ended as %s", show(res))
	}
	return string(res.Stdout.Kept)
}

// show is a result in one line, for a person who looks at a failure.
func show(res *runner.Result) string {
	code := "none"
	if res.ExitCode != nil {
		code = strconv.Itoa(*res.ExitCode)
	}
	return fmt.Sprintf("%s, exit code %s, error %+v, ended by %+v, timing %+v, stdout %.300q (%d), stderr %.600q",
		res.Status, code, res.Error, res.EndedBy, res.Timing, res.Stdout.Kept, res.Stdout.Total, res.Stderr.Kept)
}

const noCode = -1 // of a program whose end nobody saw

// verdict is what a result says about an end.
type verdict struct {
	status job.Status
	by     job.EndedBy
	kind   string // of the error; empty for none
	code   int
}

func verdictOf(res *runner.Result) verdict {
	v := verdict{status: res.Status, by: res.EndedBy, code: noCode}
	v.by.Detail = ""
	if res.Error != nil {
		v.kind = res.Error.Type
	}
	if res.ExitCode != nil {
		v.code = *res.ExitCode
	}
	return v
}

func (v verdict) check(t *testing.T, res *runner.Result) {
	t.Helper()
	if got := verdictOf(res); got != v {
		t.Errorf("the verdict is %+v, want %+v\n%s", got, v, show(res))
	}
}

// announced is a live sink that tells when something was written to it.
type announced struct {
	mu   sync.Mutex
	once sync.Once
	up   chan struct{}
	buf  bytes.Buffer
}

func newAnnounced() *announced { return &announced{up: make(chan struct{})} }

func (a *announced) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.once.Do(func() { close(a.up) })
	return a.buf.Write(p)
}

// wait waits for c to be closed or for a value.
func wait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v = <-c:
	case <-timer.C:
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// sandboxesBelow lists the host's processes that are sandboxes of a data
// directory.
func sandboxesBelow(t *testing.T, dataDir string) (pids []int) {
	t.Helper()
	procs, err := os.ReadDir("/proc")
	must(t, err)
	for _, p := range procs {
		pid, err := strconv.Atoi(p.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", p.Name(), "cmdline"))
		if err == nil && strings.HasPrefix(string(cmdline), "runsc-sandbox\x00") &&
			strings.Contains(string(cmdline), "\x00--bundle="+dataDir+"/") {
			pids = append(pids, pid)
		}
	}
	return pids
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// given is an input file with content.
func given(path, content string) runner.File {
	return runner.File{
		Path: path, Size: int64(len(content)),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}
