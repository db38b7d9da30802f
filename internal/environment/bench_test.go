package environment

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// BenchmarkEnsureUnchanged measures what every start of tako pays: the real
// host, nothing changed. cpu-ms/6000 is the CPU time per 6,000 looks.
func BenchmarkEnsureUnchanged(b *testing.B) {
	h := &Host{Cache: b.TempDir(), now: later}
	if dir := os.Getenv("TAKO_BENCH_ROOT"); dir != "" {
		h.Root = dir
	}
	env, err := h.Ensure(b.Context(), nil)
	if err != nil {
		b.Skip(err)
	}
	c := &cache{dir: h.Cache, entry: "python"}
	content, err := os.ReadFile(c.index())
	if err != nil {
		b.Fatal(err)
	}
	idx, err := decodeIndex(content)
	if err != nil {
		b.Fatal(err)
	}
	looks := countLooks(idx)
	cpu := cpuTime(b)
	for b.Loop() {
		if _, err := h.Ensure(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
	ms := float64((cpuTime(b) - cpu).Microseconds()) / 1000 / float64(b.N)
	b.ReportMetric(ms, "cpu-ms/op")
	b.ReportMetric(ms*6000/float64(looks), "cpu-ms/6000")
	b.ReportMetric(float64(looks), "looks")
	b.ReportMetric(float64(env.Size>>20), "MiB")
}

func BenchmarkEnsureCold(b *testing.B) {
	for b.Loop() {
		h := &Host{Cache: b.TempDir(), Root: os.Getenv("TAKO_BENCH_ROOT")}
		if _, err := h.Ensure(b.Context(), nil); err != nil {
			b.Skip(err)
		}
	}
}

func countLooks(idx *index) (n int) {
	for c := (cursor{rest: idx.looks}); len(c.rest) > 0; n++ {
		c.name()
		for range c.uint32() {
			c.name()
			c.stamp()
			n++
		}
	}
	return n
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
