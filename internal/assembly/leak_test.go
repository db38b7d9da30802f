package assembly

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// A process that runs many jobs is, after them, as it was before.
func TestNothingLeaks(t *testing.T) {
	serial, parallel := 200, 50
	if testing.Short() {
		serial, parallel = 20, 10
	}
	r, _ := newUser(t)
	r.Runner.Supplier.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})) // why one was not restored
	code := "import os\nos.fork()\nprint('x' * 100)\nopen('/output/a', 'a').write('a')"
	r.supplies(t, job.SupplyCold, job.SupplyRestore) // what is made once is there now
	before := holdings(t, r.cfg.DataDir)
	for range serial {
		res, err := r.Run(t.Context(), r.python(code), runner.Sinks{Keep: true})
		if err != nil || res.Status != job.Succeeded || res.Supply != job.SupplyRestore {
			t.Fatalf("%v: supplied %s, it ended as %s", err, res.Supply, show(res))
		}
	}
	unchanged(t, r, before, "one after another")
	var wg sync.WaitGroup
	for i := range parallel {
		wg.Go(func() {
			a := r.python(code, func(l *job.Limits) { l.Startup, l.Execution = 10*patience, 10*patience })
			switch i % 5 { // not all of them end well
			case 1:
				a.Code = []byte("raise ValueError")
			case 2:
				a.Code, a.Limits.Execution = []byte("while True: pass"), 300*time.Millisecond
			case 3:
				a.Limits.Startup = 20 * time.Millisecond
			}
			if _, err := r.Run(t.Context(), a, runner.Sinks{Keep: true}); err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	wg.Wait()
	unchanged(t, r, before, "many at once")
}

func unchanged(t *testing.T, r *rig, before map[string]int, when string) {
	t.Helper()
	takotest.Settled(t, patience, func() error {
		// gVisor's record of a sandbox's memory closes its file by finalizer,
		// which takes one collection to find and another to be sure of.
		runtime.GC()
		runtime.GC()
		after := holdings(t, r.cfg.DataDir)
		var more []string
		for _, name := range slices.Sorted(maps.Keys(after)) {
			if after[name] > before[name] {
				more = append(more, fmt.Sprintf("%s: %d, were %d", name, after[name], before[name]))
			}
		}
		if len(more) == 0 {
			return nil
		}
		return fmt.Errorf("%s, there are more of\n%s\n%s", when, strings.Join(more, "\n"), stacks())
	})
}

// holdings counts what this process holds, by kind.
func holdings(t *testing.T, dataDir string) map[string]int {
	t.Helper()
	count := map[string]int{"goroutines": runtime.NumGoroutine()}
	fds, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	for _, fd := range fds {
		link, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil {
			kind, _, _ := strings.Cut(link, ":[") // pipe:[123]
			count["descriptor of "+kind]++
		}
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	must(t, err)
	for _, file := range stats {
		if stat, err := os.ReadFile(file); err == nil && isChild(string(stat)) {
			count["child process"]++
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	count["mount"] = strings.Count(string(mounts), dataDir)
	groups, err := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/tako/%d-*", os.Getpid()))
	must(t, err)
	for _, g := range groups {
		if info, err := os.Stat(g); err == nil && info.IsDir() {
			count["cgroup "+g]++
		}
	}
	err = filepath.WalkDir(dataDir, func(path string, _ fs.DirEntry, err error) error {
		// Snapshots come and go; what is unfinished of them may not stay.
		if !strings.Contains(path, "/cache/snapshots/") || filepath.Ext(path) == ".tmp" {
			count["file "+path]++
		}
		return err
	})
	if err != nil {
		t.Logf("counting files: %v", err)
	}
	return count
}

// isChild reads the parent from /proc/<pid>/stat: the second field after the
// name in parentheses.
func isChild(stat string) bool {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	return len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid())
}

func stacks() string {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return err.Error()
	}
	const most = 6000
	return b.String()[:min(most, b.Len())]
}
