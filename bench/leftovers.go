package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// leftovers counts what the session's takos have left on this machine. Other
// takos may be running: what is theirs is not counted.
type leftovers struct {
	Processes int `json:"processes"`
	Mounts    int `json:"mounts"`
	Cgroups   int `json:"cgroups"`
	Files     int `json:"files"`
}

func (l leftovers) sum() int { return l.Processes + l.Mounts + l.Cgroups + l.Files }

func (s *session) leftovers() leftovers {
	return leftovers{
		Processes: sandboxesOf(s.data),
		Mounts:    mountsBelow(s.data),
		Cgroups:   groupsOf(s.pids),
		Files:     filesLeft(s.data),
	}
}

// sandboxesOf counts the sandbox processes of a data directory, which stands
// in their command line.
func sandboxesOf(data string) int {
	n := 0
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		name, _, _ := strings.Cut(string(cmdline), "\x00")
		if name == "runsc-sandbox" && strings.Contains(string(cmdline), data+"/run/") {
			n++
		}
	}
	return n
}

func mountsBelow(dir string) int {
	n := 0
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if strings.Contains(line, dir+"/") {
			n++
		}
	}
	return n
}

// groupsOf counts the cgroups of takos by their process ids, with which the
// names begin: v1 has one hierarchy a controller, v2 one for all.
func groupsOf(pids map[int]bool) int {
	n := 0
	for _, pattern := range []string{"/sys/fs/cgroup/*/tako/*", "/sys/fs/cgroup/tako/*"} {
		groups, _ := filepath.Glob(pattern)
		for _, g := range groups {
			owner, _, _ := strings.Cut(filepath.Base(g), "-")
			if pid, err := strconv.Atoi(owner); err == nil && pids[pid] {
				n++
			}
		}
	}
	return n
}

// filesLeft counts what lies below run, save for its lock, and unfinished
// files anywhere.
func filesLeft(data string) int {
	n := 0
	run := filepath.Join(data, "run")
	_ = filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == run {
			return nil
		}
		inRun := strings.HasPrefix(path, run+"/") && path != filepath.Join(run, "lock")
		if inRun || filepath.Ext(path) == ".tmp" {
			n++
		}
		return nil
	})
	return n
}
