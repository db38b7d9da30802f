package gvisor

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/sentry/control"
)

// samplePeriod is how often memory is looked at where no cgroup bounds it. A
// program can overshoot by what it can touch in that time.
const samplePeriod = 25 * time.Millisecond

// sampler bounds the memory of a sandbox on a host without a memory cgroup, by
// looking. It is what permissive mode has instead of a limit.
type sampler struct {
	limit  int64
	record *control.MemoryUsageRecord
	peak   atomic.Int64
}

// newSampler asks the Sentry for the file that is its programs' memory.
func (s *sandbox) newSampler(limit int64) (*sampler, error) {
	record, err := s.sentry.UsageFD()
	if err != nil {
		return nil, fmt.Errorf("watching the sandbox's memory: %w", err)
	}
	return &sampler{limit: limit, record: record}, nil
}

// run looks until the sandbox has ended or exceeded calls for its end.
func (m *sampler) run(pid int, done <-chan struct{}, exceeded func()) {
	tick := time.NewTicker(samplePeriod)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		used := m.programs() + sentryMemory(pid)
		m.peak.Store(max(m.peak.Load(), used))
		if used > m.limit {
			exceeded()
			return
		}
	}
}

// programs is what the programs hold: memory, tmpfs, shared memory, buffers.
func (m *sampler) programs() int64 {
	_, _, total, err := m.record.Fetch()
	if err != nil {
		return 0
	}
	return int64(total)
}

// sentryMemory is the Sentry's own heap, where inodes and the like are.
func sentryMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("RssAnon:"))
		if !ok {
			continue
		}
		kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(value), []byte("kB")))), 10, 64)
		if err != nil {
			return 0
		}
		return kib << 10
	}
	return 0
}
