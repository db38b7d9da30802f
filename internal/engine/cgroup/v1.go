package cgroup

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

func (g *Group) setV1(l Limits) error {
	memory := strconv.FormatInt(l.Memory, 10)
	steps := []struct{ controller, file, value string }{
		{Memory, "memory.limit_in_bytes", memory},
		{CPU, "cpu.cfs_period_us", strconv.Itoa(period)},
		{CPU, "cpu.cfs_quota_us", strconv.Itoa(int(l.CPUs * period))},
		{PIDs, "pids.max", strconv.Itoa(l.Tasks)},
	}
	for _, s := range steps {
		if err := g.set(s.controller, s.file, s.value); err != nil {
			return fmt.Errorf("setting %s to %s: %w", s.file, s.value, err)
		}
	}
	// Memory and swap together; a kernel without swap accounting lacks the file.
	if err := g.set(Memory, "memory.memsw.limit_in_bytes", memory); err != nil && !missing(err) {
		return fmt.Errorf("setting memory.memsw.limit_in_bytes to %s: %w", memory, err)
	}
	return nil
}

func (g *Group) statsV1() Stats {
	now, _ := strconv.ParseInt(g.read(Memory, "memory.usage_in_bytes"), 10, 64)
	peak, _ := strconv.ParseInt(g.read(Memory, "memory.max_usage_in_bytes"), 10, 64)
	cpu, _ := strconv.ParseInt(g.read(CPUAcct, "cpuacct.usage"), 10, 64)
	return Stats{
		Memory:     now,
		MemoryPeak: peak,
		CPUTime:    time.Duration(cpu),
		OOMKills:   field(g.read(Memory, "memory.oom_control"), "oom_kill"),
	}
}

// field finds "name value" in a file of such lines; 0 when it is not there.
func field(text, name string) int64 {
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
