package cgroup

import (
	"fmt"
	"strconv"
	"time"
)

func (g *Group) setV2(l Limits) error {
	steps := []struct {
		controller, file, value string
		optional                bool
	}{
		{Memory, "memory.max", strconv.FormatInt(l.Memory, 10), false},
		{Memory, "memory.swap.max", "0", true}, // not there without swap accounting
		{Memory, "memory.oom.group", "1", true},
		{CPU, "cpu.max", fmt.Sprintf("%d %d", int(l.CPUs*period), period), false},
		{PIDs, "pids.max", strconv.Itoa(l.Tasks), false},
	}
	for _, s := range steps {
		err := g.set(s.controller, s.file, s.value)
		if err != nil && !(s.optional && missing(err)) {
			return fmt.Errorf("setting %s to %s: %w", s.file, s.value, err)
		}
	}
	return nil
}

func (g *Group) statsV2() Stats {
	now, _ := strconv.ParseInt(g.read(Memory, "memory.current"), 10, 64)
	peak, _ := strconv.ParseInt(g.read(Memory, "memory.peak"), 10, 64)
	cpu := field(g.read(CPU, "cpu.stat"), "usage_usec")
	return Stats{
		Memory:     now,
		MemoryPeak: peak,
		CPUTime:    time.Duration(cpu) * time.Microsecond,
		OOMKills:   field(g.read(Memory, "memory.events"), "oom_kill"),
	}
}
