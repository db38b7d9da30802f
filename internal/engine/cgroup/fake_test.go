package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fakeTree is a directory that behaves like a cgroup file system: a directory
// that is made in it has the files of its controllers.
type fakeTree struct {
	t    *testing.T
	root string
	v2   bool
}

var filesV1 = map[string][]string{
	Memory: {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control",
		"cgroup.event_control"},
	CPU:     {"cpu.cfs_period_us", "cpu.cfs_quota_us", "cpu.shares"},
	PIDs:    {"pids.max"},
	CPUAcct: {"cpuacct.usage"},
}

var filesV2 = []string{
	"cgroup.controllers", "cgroup.subtree_control", "cgroup.kill", "memory.max", "memory.swap.max", "memory.oom.group",
	"memory.current", "memory.peak", "memory.events", "cpu.max", "cpu.weight", "cpu.stat", "pids.max",
}

func newFakeV1(t *testing.T, controllers ...string) *fakeTree {
	f := &fakeTree{t: t, root: t.TempDir()}
	for _, c := range controllers {
		f.populate(filepath.Join(f.root, c))
	}
	return f
}

func newFakeV2(t *testing.T) *fakeTree {
	f := &fakeTree{t: t, root: t.TempDir(), v2: true}
	f.populate(f.root)
	return f
}

func (f *fakeTree) files() files {
	return files{
		mkdirAll: func(dir string) error {
			rel, err := filepath.Rel(f.root, dir)
			if err != nil {
				return err
			}
			at := f.root
			for part := range strings.SplitSeq(rel, "/") {
				at = filepath.Join(at, part)
				if _, err := os.Stat(at); err == nil {
					continue
				}
				f.populate(at)
			}
			return nil
		},
		rmdir: f.rmdir,
	}
}

// populate makes dir with its control files.
func (f *fakeTree) populate(dir string) {
	f.t.Helper()
	must(f.t, os.MkdirAll(dir, 0o755))
	names := append([]string{"cgroup.procs"}, filesV2...)
	if !f.v2 {
		rel, _ := filepath.Rel(f.root, dir)
		controller, _, _ := strings.Cut(rel, "/")
		names = append([]string{"cgroup.procs"}, filesV1[controller]...)
	}
	for _, name := range names {
		must(f.t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
}

// rmdir refuses a group with processes or children, as the kernel does.
func (f *fakeTree) rmdir(dir string) error {
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, os.ErrNotExist) {
		return syscall.ENOENT
	}
	if err != nil {
		return err
	}
	if len(procs) > 0 {
		return syscall.EBUSY
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			return syscall.EBUSY
		}
	}
	return os.RemoveAll(dir)
}

func (f *fakeTree) read(path string) string {
	f.t.Helper()
	data, err := os.ReadFile(filepath.Join(f.root, path))
	must(f.t, err)
	return string(data)
}

func (f *fakeTree) write(path, value string) {
	f.t.Helper()
	must(f.t, os.WriteFile(filepath.Join(f.root, path), []byte(value), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
