package assembly

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/jobtype"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// age makes what is in the cache of packages look as if it was used last then.
func age(t *testing.T, cfg *config.Config, then time.Time) {
	t.Helper()
	for _, pattern := range []string{"packages/*", "environments/*"} {
		names, err := filepath.Glob(filepath.Join(cfg.DataDir, "cache", pattern))
		must(t, err)
		for _, name := range names {
			must(t, os.Chtimes(name, then, then))
		}
	}
}

// firstWrite has an element when a program has said something.
type firstWrite chan struct{}

func (w firstWrite) Write(p []byte) (int, error) {
	select {
	case w <- struct{}{}:
	default: // a program may say what it says in pieces
	}
	return len(p), nil
}

// Layers stay for versions of job types, for what job types ask for now, and while
// a job runs in them; a rerun in one that was collected says so.
func TestCollectedLayers(t *testing.T) {
	dir := t.TempDir()
	takotest.Wheel(t, dir, "demo-a", "1.0", map[string]string{"demo_a.py": "VALUE = 'a'\n"})
	takotest.Wheel(t, dir, "demo-b", "1.0", map[string]string{"demo_b.py": "VALUE = 'b'\n"})
	takotest.Wheel(t, dir, "demo-c", "1.0", map[string]string{"demo_c.py": "VALUE = 'c'\n"})
	r := newPackaged(t, func(c *config.Config) {
		must(t, os.Remove(filepath.Join(c.DataDir, "cache", "environments"))) // that of all tests
		c.PackageWheelsDir, c.PackageOffline = dir, true
		c.JobTypes = []config.JobType{
			{Name: "listed", Requirements: []string{"demo-a"}, PythonVersion: "3.11", MemoryLimit: 256 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 60},
		}
	})
	made := func(names ...string) environment.Environment {
		t.Helper()
		env, err := r.Environment(t.Context(), Wanted{Requirements: names}, nil)
		must(t, err)
		return env
	}
	listed, plain := made("demo-a"), made("demo-b")
	records, err := OpenStore(t.Context(), r.cfg, nil)
	must(t, err)
	types := jobtype.New(jobtype.Options{Config: r.cfg, Stored: records})
	versioned := config.JobType{Name: "versioned", Requirements: []string{"demo-c"}, PythonVersion: "3.11", MemoryLimit: 256 << 20, CPULimit: 1, Timeout: 30, StartupTimeout: 60}
	must(t, types.Put(t.Context(), versioned, true))
	ref, err := r.Build(t.Context(), versioned, &strings.Builder{})
	must(t, err)
	_, err = types.AddVersion(t.Context(), jobtype.Build{Type: versioned, Environment: ref})
	must(t, err)
	versioned.Requirements = nil // only its version has it now
	must(t, types.Put(t.Context(), versioned, false))
	must(t, records.Close())

	collect := func(want ...environment.Environment) {
		t.Helper()
		layers, err := OpenLayers(t.Context(), r.cfg)
		must(t, err)
		gone, err := layers.Collect(t.Context(), time.Now().Add(-LayerLife(r.cfg)))
		must(t, err)
		if len(gone) != len(want) {
			t.Fatalf("%d layers are gone, not %d: %+v", len(gone), len(want), gone)
		}
		for i, env := range want {
			if gone[i].Digest != env.Packages.Digest {
				t.Errorf("gone is %+v", gone[i])
			}
		}
	}
	collect() // all were used just now
	old := time.Now().Add(-LayerLife(r.cfg) - time.Hour)

	stdin, program := io.Pipe()
	running := make(firstWrite, 1)
	ended := make(chan *runner.Result)
	go func() {
		a := r.python("import demo_b, sys; print(demo_b.VALUE, flush=True); sys.stdin.read(); import importlib; importlib.reload(demo_b)")
		a.Environment, a.Stdin = plain, stdin
		res, err := r.Run(t.Context(), a, runner.Sinks{Stdout: running})
		if err != nil {
			t.Error(err)
		}
		ended <- res
	}()
	<-running
	age(t, r.cfg, old)
	collect() // one of them is in use
	must(t, program.Close())
	if res := <-ended; res == nil || res.Status != job.Succeeded {
		t.Errorf("the job ended as %+v", res)
	}
	collect(plain)
	_, err = r.Environment(t.Context(), Wanted{Digest: plain.Digest, Requirements: []string{"demo-b"}}, nil)
	if job.KindOf(err) != job.KindInvalid || !strings.Contains(err.Error(), "the environment of the version or job to be repeated is not here any more") {
		t.Errorf("a rerun: %v", err)
	}
	if again := made("demo-b"); again.Digest != plain.Digest {
		t.Errorf("installed again it is %s", again.Digest)
	}
	if got := made("demo-a"); got.Digest != listed.Digest {
		t.Errorf("what a job type asks for is %s", got.Digest)
	}
	env, err := r.Environment(t.Context(), Wanted{Digest: ref.Digest}, nil)
	must(t, err)
	if res := r.with(t, env, "import demo_c; print(demo_c.VALUE)"); string(res.Stdout.Kept) != "c\n" {
		t.Errorf("the version: %s", show(res))
	}
}
