package cgroup

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Stats reads the group's counters; those that the host does not count are 0.
func (g *Group) Stats() Stats {
	if g.tree.Version == 2 {
		return g.statsV2()
	}
	return g.statsV1()
}

// ForgetPeak begins the counting of MemoryPeak anew. On v2 the peak cannot be
// forgotten for every reader, and goes on.
func (g *Group) ForgetPeak() {
	if g.tree.Version == 1 {
		_ = g.set(Memory, "memory.max_usage_in_bytes", "0") // a reset, whatever is written
	}
}

// Chown gives the files through which a process joins the group to uid, so
// that a process that has dropped its privileges can join by itself; uid 0
// takes them back. It grants nothing else: limits stay root's.
func (g *Group) Chown(uid int) error {
	for _, file := range g.ProcsFiles() {
		if err := os.Chown(file, uid, -1); err != nil {
			return fmt.Errorf("handing over %s: %w", file, err)
		}
	}
	return nil
}

// Verify reports an error unless process pid is in the group, in every
// hierarchy: a limit holds only who is in it.
func (g *Group) Verify(pid int) error {
	for _, dir := range g.dirs() {
		data, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			return fmt.Errorf("verifying cgroup membership: %w", err)
		}
		if !slices.Contains(strings.Fields(string(data)), strconv.Itoa(pid)) {
			return fmt.Errorf("process %d is not in its cgroup %s", pid, dir)
		}
	}
	return nil
}

// Processes lists the ids of the processes in the group.
func (g *Group) Processes() ([]int, error) {
	dirs := g.dirs()
	if len(dirs) == 0 {
		return nil, nil
	}
	data, err := os.ReadFile(filepath.Join(dirs[0], "cgroup.procs"))
	if err != nil {
		if missing(err) || errors.Is(err, syscall.ENODEV) {
			return nil, nil
		}
		return nil, fmt.Errorf("listing the processes of a cgroup: %w", err)
	}
	var pids []int
	for word := range strings.FieldsSeq(string(data)) {
		pid, err := strconv.Atoi(word)
		if err != nil {
			return nil, fmt.Errorf("listing the processes of a cgroup: %w", err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Kill sends SIGKILL to every process in the group, those started meanwhile
// included. It does not wait for them to be gone: Remove does.
func (g *Group) Kill() error {
	if g.tree.Version == 2 {
		for _, dir := range g.dirs() {
			if err := write(filepath.Join(dir, "cgroup.kill"), "1"); err == nil {
				return nil
			}
		}
	}
	const rounds = 100 // a fork bomb outruns one round, not the tasks limit
	for range rounds {
		pids, err := g.Processes()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("killing process %d of a cgroup: %w", pid, err)
			}
		}
		if g.dying(pids) {
			return nil
		}
	}
	return nil
}

// dying reports whether no process has joined since pids was read.
func (g *Group) dying(pids []int) bool {
	now, err := g.Processes()
	if err != nil {
		return false
	}
	known := make(map[int]bool, len(pids))
	for _, pid := range pids {
		known[pid] = true
	}
	for _, pid := range now {
		if !known[pid] {
			return false
		}
	}
	return true
}

// Remove removes the group. A group whose processes were just killed refuses
// until the kernel has let go of them, so it tries for up to five seconds.
func (g *Group) Remove() error {
	const patience = 5 * time.Second
	var errs []error
	for _, dir := range g.dirs() {
		errs = append(errs, g.tree.removeDir(dir, patience))
	}
	return errors.Join(errs...)
}

func (t *Tree) removeDir(dir string, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := t.fs.rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if !errors.Is(err, syscall.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("removing cgroup %s: %w", dir, err)
		}
		time.Sleep(pause)
	}
}

// Groups lists the groups directly below the tree's base whose names begin with
// prefix, in any of the hierarchies.
func (t *Tree) Groups(prefix string) ([]string, error) {
	found := map[string]bool{}
	for _, dir := range t.Open("").dirs() {
		entries, err := os.ReadDir(dir)
		if missing(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("listing cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
				found[e.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}
