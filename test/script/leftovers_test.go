package script

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// leftovers lists what is left of takos that used a data directory and have
// ended, others may be running: homes, sandbox processes, mounts, cgroups, unfinished files.
func leftovers(data string) []string {
	var found []string
	homes, _ := os.ReadDir(filepath.Join(data, "run"))
	for _, h := range homes {
		if h.IsDir() && dead(h.Name()) {
			found = append(found, "home "+h.Name())
		}
	}
	unfinished, _ := filepath.Glob(filepath.Join(data, "cache", "*", "*.tmp"))
	found = append(found, unfinished...)
	procs, _ := os.ReadDir("/proc")
	for _, p := range procs {
		if _, err := strconv.Atoi(p.Name()); err != nil {
			continue
		}
		cmdline, _ := os.ReadFile("/proc/" + p.Name() + "/cmdline")
		_, rest, ours := strings.Cut(string(cmdline), "--bundle="+filepath.Join(data, "run")+"/")
		home, _, _ := strings.Cut(rest, "/")
		if ours && dead(home) {
			found = append(found, "process "+p.Name())
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		_, rest, ours := strings.Cut(line, filepath.Join(data, "run")+"/")
		home, _, _ := strings.Cut(rest, "/")
		if ours && dead(home) {
			found = append(found, "mount "+line)
		}
	}
	return append(found, groupsOf(data)...)
}

// groupsOf lists the cgroups of homes that are gone.
func groupsOf(data string) []string {
	var found []string
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/tako/*")
	for _, g := range groups {
		info, err := os.Stat(g)
		if err != nil || !info.IsDir() || strings.HasPrefix(filepath.Base(g), "test-") || !dead(filepath.Base(g)) {
			continue
		}
		found = append(found, fmt.Sprintf("cgroup %s (of %s?)", g, data))
	}
	return found
}

// dead reports that the process which a home is named after has ended.
func dead(home string) bool {
	pid, _, _ := strings.Cut(home, "-")
	_, err := os.Stat("/proc/" + pid)
	return err != nil
}
