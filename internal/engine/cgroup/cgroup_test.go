package cgroup

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var limits = Limits{Memory: 512 << 20, CPUs: 1.5, Tasks: 1224}

func TestV1SetsEveryLimit(t *testing.T) {
	f := newFakeV1(t, Memory, CPU, PIDs, CPUAcct)
	tree := detect(f.root, "", f.files())
	if tree == nil || tree.Version != 1 {
		t.Fatalf("detected %+v, want version 1", tree)
	}
	g, err := tree.Create("run/box", limits)
	must(t, err)
	got := map[string]string{}
	for _, file := range []string{
		"memory/tako/run/box/memory.limit_in_bytes", "memory/tako/run/box/memory.memsw.limit_in_bytes",
		"cpu/tako/run/box/cpu.cfs_period_us", "cpu/tako/run/box/cpu.cfs_quota_us", "pids/tako/run/box/pids.max",
	} {
		got[filepath.Base(file)] = f.read(file)
	}
	want := map[string]string{
		"memory.limit_in_bytes": "536870912", "memory.memsw.limit_in_bytes": "536870912",
		"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000", "pids.max": "1224",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if shares := f.read("cpu/tako/cpu.shares"); shares != "256" {
		t.Errorf("all sandboxes together have %s shares of the processor", shares)
	}
	if n := len(g.ProcsFiles()); n != 4 {
		t.Errorf("a process joins %d hierarchies, want 4", n)
	}
}

func TestV1Stats(t *testing.T) {
	f := newFakeV1(t, Memory, CPU, PIDs, CPUAcct)
	g, err := detect(f.root, "", f.files()).Create("r/b", limits)
	must(t, err)
	f.write("memory/tako/r/b/memory.usage_in_bytes", "4096\n")
	f.write("memory/tako/r/b/memory.max_usage_in_bytes", "123456\n")
	f.write("memory/tako/r/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
	f.write("cpuacct/tako/r/b/cpuacct.usage", "7000000\n")
	want := Stats{Memory: 4096, MemoryPeak: 123456, CPUTime: 7 * time.Millisecond, OOMKills: 2}
	if diff := cmp.Diff(want, g.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

func TestV2SetsEveryLimit(t *testing.T) {
	f := newFakeV2(t)
	must(t, f.files().mkdirAll(filepath.Join(f.root, "tako")))
	f.write("tako/cgroup.controllers", "cpuset cpu io memory pids\n")
	tree := detect(f.root, "0::/user.slice\n", f.files())
	if tree == nil || tree.Version != 2 {
		t.Fatalf("detected %+v, want version 2", tree)
	}
	for _, c := range []string{Memory, CPU, PIDs} {
		if !tree.Has(c) {
			t.Errorf("controller %s was not found", c)
		}
	}
	g, err := tree.Create("run/box", limits)
	must(t, err)
	got := map[string]string{}
	for _, file := range []string{"memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max"} {
		got[file] = f.read("tako/run/box/" + file)
	}
	want := map[string]string{
		"memory.max": "536870912", "memory.swap.max": "0", "memory.oom.group": "1",
		"cpu.max": "150000 100000", "pids.max": "1224",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
	if weight := f.read("tako/cpu.weight"); weight != "25" {
		t.Errorf("all sandboxes together have the weight %s", weight)
	}
	if g.Path() != "/tako/run/box" {
		t.Errorf("path is %s", g.Path())
	}
	if n := len(g.ProcsFiles()); n != 1 {
		t.Errorf("a process joins %d hierarchies, want 1", n)
	}
}

func TestV2Stats(t *testing.T) {
	f := newFakeV2(t)
	must(t, f.files().mkdirAll(filepath.Join(f.root, "tako")))
	f.write("tako/cgroup.controllers", "cpu memory pids")
	g, err := detect(f.root, "", f.files()).Create("r/b", limits)
	must(t, err)
	f.write("tako/r/b/memory.current", "8192\n")
	f.write("tako/r/b/memory.peak", "99\n")
	f.write("tako/r/b/memory.events", "low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 1\n")
	f.write("tako/r/b/cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n")
	want := Stats{Memory: 8192, MemoryPeak: 99, CPUTime: 1500 * time.Microsecond, OOMKills: 1}
	if diff := cmp.Diff(want, g.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}
}

// A user to whom a group was delegated makes groups below it.
func TestV2Delegated(t *testing.T) {
	f := newFakeV2(t)
	refuse := f.files()
	mkdir := refuse.mkdirAll
	refuse.mkdirAll = func(dir string) error {
		if dir == filepath.Join(f.root, "tako") {
			return os.ErrPermission
		}
		return mkdir(dir)
	}
	own := "user.slice/job.scope"
	must(t, mkdir(filepath.Join(f.root, own, "tako")))
	f.write(own+"/tako/cgroup.controllers", "memory pids")
	tree := detect(f.root, "0::/"+own+"\n", refuse)
	if tree == nil {
		t.Fatal("a delegated group was not found")
	}
	if tree.Has(CPU) || !tree.Has(Memory) {
		t.Errorf("controllers are %v, want memory and pids", tree.mount)
	}
	g, err := tree.Create("r/b", limits)
	must(t, err)
	if want := "/" + own + "/tako/r/b"; g.Path() != want {
		t.Errorf("path is %s, want %s", g.Path(), want)
	}
}

func TestNothingToWriteIsNoTree(t *testing.T) {
	if tree := Detect(t.TempDir(), ""); tree != nil {
		t.Errorf("detected %+v in an empty directory", tree)
	}
	var none *Tree
	if none.Has(Memory) {
		t.Error("no tree has a memory controller")
	}
}

func TestMissingControllerIsNotEnforced(t *testing.T) {
	f := newFakeV1(t, Memory, PIDs)
	tree := detect(f.root, "", f.files())
	if tree.Has(CPU) {
		t.Error("cpu was found")
	}
	g, err := tree.Create("r/b", limits)
	must(t, err)
	must(t, g.Remove())
}

func TestRemoveAndClose(t *testing.T) {
	f := newFakeV1(t, Memory, CPU, PIDs, CPUAcct)
	tree := detect(f.root, "", f.files())
	g, err := tree.Create("run.box", limits)
	must(t, err)
	other, err := tree.Create("runner.box", limits)
	must(t, err)
	must(t, tree.Close()) // refused by the kernel, which is no error
	names, err := tree.Groups("run.")
	must(t, err)
	if diff := cmp.Diff([]string{"run.box"}, names); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	must(t, g.Remove())
	must(t, g.Remove())
	must(t, other.Remove())
	must(t, tree.Close())
	if _, err := os.Stat(filepath.Join(f.root, "memory/tako")); !os.IsNotExist(err) {
		t.Errorf("the tree's own directory is still there: %v", err)
	}
}

func TestFailedCreateLeavesNothing(t *testing.T) {
	f := newFakeV1(t, Memory, CPU, PIDs, CPUAcct)
	tree := detect(f.root, "", f.files())
	broken := tree.fs.mkdirAll
	tree.fs.mkdirAll = func(dir string) error {
		if err := broken(dir); err != nil {
			return err
		}
		return os.RemoveAll(filepath.Join(dir, "pids.max"))
	}
	if _, err := tree.Create("run.box", limits); err == nil {
		t.Fatal("a limit that could not be set is no error")
	}
	if names, _ := tree.Groups("run."); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestVerifyFindsWhoIsOutside(t *testing.T) {
	f := newFakeV1(t, Memory, PIDs)
	g, err := detect(f.root, "", f.files()).Create("r/b", limits)
	must(t, err)
	f.write("memory/tako/r/b/cgroup.procs", "12\n4711\n")
	if err := g.Verify(4711); err == nil {
		t.Error("a process that is in one hierarchy of two was accepted")
	}
	f.write("pids/tako/r/b/cgroup.procs", "4711\n")
	must(t, g.Verify(4711))
}

func TestBusyGroupIsAnErrorInTheEnd(t *testing.T) {
	f := newFakeV1(t, Memory)
	tree := detect(f.root, "", f.files())
	g, err := tree.Create("r/b", limits)
	must(t, err)
	f.write("memory/tako/r/b/cgroup.procs", "1\n")
	if err := tree.removeDir(g.dir(Memory), 0); err == nil {
		t.Error("a group with a process was removed")
	}
}

func TestWatchV2SeesTheCounterRise(t *testing.T) {
	f := newFakeV2(t)
	must(t, f.files().mkdirAll(filepath.Join(f.root, "tako")))
	f.write("tako/cgroup.controllers", "memory")
	g, err := detect(f.root, "", f.files()).Create("r/b", limits)
	must(t, err)
	w, err := g.WatchOOM()
	must(t, err)
	defer w.Stop()
	f.write("tako/r/b/memory.events", "oom_kill 0\n")
	f.write("tako/r/b/memory.events", "oom_kill 1\n")
	select {
	case <-w.C:
	case <-time.After(10 * time.Second):
		t.Error("the watch did not see a kill")
	}
}

func TestWatchStopsWithoutAnEvent(t *testing.T) {
	f := newFakeV2(t)
	must(t, f.files().mkdirAll(filepath.Join(f.root, "tako")))
	f.write("tako/cgroup.controllers", "memory")
	g, err := detect(f.root, "", f.files()).Create("r/b", limits)
	must(t, err)
	w, err := g.WatchOOM()
	must(t, err)
	w.Stop()
	w.Stop()
	select {
	case <-w.C:
		t.Error("a stopped watch reported a kill")
	default:
	}
}
