package job

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestDefaultLimitsAreValid(t *testing.T) {
	if err := DefaultLimits().Validate(); err != nil {
		t.Error(err)
	}
	if (Limits{}).Validate() == nil {
		t.Error("no limits at all are valid")
	}
}

// Each field is held to its range, bounds included, and named when it is not.
func TestLimitsValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		set      func(l *Limits, v int64)
		min, max int64
	}{
		"memory":              {func(l *Limits, v int64) { l.Memory = v }, 64 << 20, 32 << 30},
		"pids":                {func(l *Limits, v int64) { l.PIDs = int(v) }, 1, 1000},
		"open files":          {func(l *Limits, v int64) { l.OpenFiles = int(v) }, 16, 65536},
		"file size":           {func(l *Limits, v int64) { l.FileSize = v }, 1 << 20, 8 << 30},
		"disk":                {func(l *Limits, v int64) { l.Disk = v }, 1 << 20, 8 << 30},
		"files":               {func(l *Limits, v int64) { l.Files = int(v) }, 64, 4194304},
		"shm":                 {func(l *Limits, v int64) { l.Shm = v }, 4 << 10, 8 << 30},
		"stdout":              {func(l *Limits, v int64) { l.Stdout = v }, 0, 1 << 30},
		"stderr":              {func(l *Limits, v int64) { l.Stderr = v }, 0, 1 << 30},
		"artifact size":       {func(l *Limits, v int64) { l.Artifact = v }, 0, 10 << 30},
		"total artifact size": {func(l *Limits, v int64) { l.Artifacts = v }, 0, 10 << 30},
		"artifact count":      {func(l *Limits, v int64) { l.ArtifactFiles = int(v) }, 0, 1 << 20},
		"startup timeout":     {func(l *Limits, v int64) { l.Startup = time.Duration(v) }, int64(time.Millisecond), int64(30 * time.Minute)},
		"timeout":             {func(l *Limits, v int64) { l.Execution = time.Duration(v) }, int64(time.Millisecond), int64(24 * time.Hour)},
		"kill grace":          {func(l *Limits, v int64) { l.KillGrace = time.Duration(v) }, 0, int64(time.Minute)},
	} {
		for v, valid := range map[int64]bool{
			tc.min: true, tc.max: true, tc.min + (tc.max-tc.min)/2: true,
			tc.min - 1: false, tc.max + 1: false, math.MinInt64: false, math.MaxInt64: false, -1: false,
		} {
			l := DefaultLimits()
			tc.set(&l, v)
			checkValid(t, l, name, valid)
		}
	}
}

func TestLimitsValidateCPUs(t *testing.T) {
	for v, valid := range map[float64]bool{
		0.1: true, 1: true, 16: true, math.Nextafter(0.1, 0): false, math.Nextafter(16, 17): false,
		0: false, -1: false, math.Inf(1): false, math.Inf(-1): false, math.Copysign(0, -1): false,
	} {
		l := DefaultLimits()
		l.CPUs = v
		checkValid(t, l, "cpus", valid)
	}
	l := DefaultLimits()
	l.CPUs = math.NaN() // not equal to itself, so no key of a map
	checkValid(t, l, "cpus", false)
}

func checkValid(t *testing.T, l Limits, name string, valid bool) {
	t.Helper()
	err := l.Validate()
	if (err == nil) != valid {
		t.Errorf("%s: valid should be %v, but the error is %v: %+v", name, valid, err, l)
	}
	if err != nil && (KindOf(err) != KindInvalid || !strings.HasPrefix(err.Error(), name+" is ") || strings.Contains(err.Error(), "\n")) {
		t.Errorf("%s: the error is %q, of kind %s", name, err, KindOf(err))
	}
}
