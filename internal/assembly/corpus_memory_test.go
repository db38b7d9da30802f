package assembly

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/takotest"
)

// The memory limit is none of a snapshot: what a clone sees is its own.
func TestCorpusMemorySize(t *testing.T) {
	p := newPair(t)
	for _, memory := range []int64{64 << 20, 192 << 20, 1 << 30} {
		t.Run(fmt.Sprint(memory>>20, " MiB"), func(t *testing.T) {
			c := corpusCase{limits: []func(*job.Limits){func(l *job.Limits) { l.Memory = memory }}}
			res := p.alike(t, c, `
import ctypes, os
total = {l.split(':')[0]: l.split(':')[1] for l in open('/proc/meminfo')}['MemTotal']
info = (ctypes.c_ulong * 16)()
print(total, os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGESIZE'), ctypes.CDLL(None).sysinfo(info), info[4])
`)
			if want := fmt.Sprint(memory); !strings.Contains(string(res.Stdout.Kept), want) {
				t.Errorf("it saw %q, want %s", res.Stdout.Kept, want)
			}
		})
	}
}

// What a program can allocate does not depend on where its sandbox is from.
func TestCorpusMemoryRoom(t *testing.T) {
	takotest.RequireRoot(t) // there is no memory limit without cgroups
	p := newPair(t)
	room := func(how *runner.Runner, memory int64) int {
		res := p.via(t, how, p.attempt(`
import os
hold = []
while True:
    hold.append(bytearray(b'x') * (1 << 20))
    os.write(1, b'%d\n' % len(hold))
`, func(l *job.Limits) { l.Memory = memory }))
		if res.Status != job.OOM {
			t.Fatalf("it ended as %s", show(res))
		}
		lines := strings.Fields(string(res.Stdout.Kept))
		n, err := strconv.Atoi(lines[len(lines)-1])
		must(t, err)
		return n
	}
	for _, memory := range []int64{64 << 20, 128 << 20} {
		const tolerance = 8 // MiB: loading a snapshot leaves its Sentry larger
		cold, restored := room(p.cold, memory), room(p.restoring, memory)
		if restored < cold-tolerance {
			t.Errorf("with %d MiB a program that was booted has %d of them, one that was restored %d", memory>>20, cold, restored)
		}
	}
}

// What is reported of a program's usage is about it, wherever it is from.
func TestCorpusUsage(t *testing.T) {
	takotest.RequireRoot(t)
	p := newPair(t)
	for _, tc := range []struct {
		code   string
		memory int64 // that it holds
	}{
		{"pass", 1 << 20},
		{"hold = bytearray(b'x') * (100 << 20)", 100 << 20},
	} {
		cold, restored := p.via(t, p.cold, p.attempt(tc.code)).Usage, p.restored(t, tc.code).Usage
		for name, u := range map[string]job.Usage{"booted": cold, "restored": restored} {
			if u.MaxRSS < tc.memory || u.MaxRSS > tc.memory+20<<20 || u.CPUTime <= 0 || u.Wall <= 0 {
				t.Errorf("%q, %s: %+v", tc.code, name, u)
			}
		}
	}
}
