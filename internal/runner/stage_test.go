package runner

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/job"
)

func TestCandidates(t *testing.T) {
	for name, want := range map[string][]string{
		"/bin/ls": {"/bin/ls"},
		"./x":     {"/app/x"},
		"a/b":     {"/app/a/b"},
		"../x":    {"/x"},
		"ls":      {"/usr/local/bin/ls", "/usr/bin/ls", "/bin/ls"},
	} {
		if got := (&Attempt{}).candidates(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestArgs(t *testing.T) {
	a := valid()
	a.Args = []string{"x", ""}
	if got := newRun(a, Sinks{}).args(); !slices.Equal(got, []string{"/usr/bin/python3", "-u", "/code/main.py", "x", ""}) {
		t.Errorf("code: %q", got)
	}
	a.Command = []string{"ls", "-l"}
	if got := newRun(a, Sinks{}).args(); !slices.Equal(got, []string{"ls", "-l", "x", ""}) {
		t.Errorf("a command: %q", got)
	}
	if got := a.Environment.Languages["python"].Command; !slices.Equal(got, []string{"/usr/bin/python3", "-u"}) {
		t.Errorf("the environment has changed: %q", got)
	}
}

// The job's variables win over the language's, those over the contract's.
func TestEnv(t *testing.T) {
	a := valid()
	a.Env = map[string]string{"A": "2", "HOME": "", "Z": "a=b"}
	a.Limits.Startup, a.Limits.Execution = 90*time.Second, 1500*time.Millisecond
	want := []string{
		"A=2", "EMPTY=", "HOME=", "LANG=C.UTF-8", "MPLCONFIGDIR=/tmp/.cache/matplotlib", "PATH=/x",
		"TAKO_EXECUTION_TIMEOUT=1", "TAKO_STARTUP_TIMEOUT=90", "USER=sandbox", "XDG_CACHE_HOME=/tmp/.cache", "Z=a=b",
	}
	if got := newRun(a, Sinks{}).env(); !slices.Equal(got, want) {
		t.Errorf("the environment is\n%q, want\n%q", got, want)
	}
}

func TestProgram(t *testing.T) {
	a := valid()
	a.Limits.PIDs, a.Limits.OpenFiles, a.Limits.FileSize = 7, 33, 5<<20
	p := newRun(a, Sinks{}).program("/bin/x", []string{"x"})
	want := map[int]uint64{unix.RLIMIT_NPROC: 6, unix.RLIMIT_NOFILE: 33, unix.RLIMIT_FSIZE: 5 << 20}
	for _, l := range p.Rlimits {
		if l.Soft != want[l.Resource] || l.Hard != l.Soft {
			t.Errorf("limit %d is %d, %d", l.Resource, l.Soft, l.Hard)
		}
		delete(want, l.Resource)
	}
	if len(want) != 0 || p.UID != 1000 || p.GID != 1000 || p.Dir != "/app" || p.Path != "/bin/x" {
		t.Errorf("%+v, without %v", p, want)
	}
}

// The file systems of the input hold it, rounded up, whatever the sizes.
func TestRequest(t *testing.T) {
	a := valid()
	a.Files = []File{{Path: "a", Size: 1}, {Path: "b", Size: 10_000}}
	r := newRun(a, Sinks{}).request()
	if r.CodeBytes < int64(len(a.Code)) || r.InputBytes < 2+1+10_000+2*4095 || r.InputBytes > 1<<20 {
		t.Errorf("%d bytes of code, %d of input", r.CodeBytes, r.InputBytes)
	}
	if string(newRun(a, Sinks{}).input()) != "{}" {
		t.Error("an empty input is not an empty object")
	}
	if r.Limits != a.Limits {
		t.Errorf("limits are not passed on: %+v", r.Limits)
	}
}

// Only what the request got wrong is its fault: the rest is tried again.
func TestUnreadable(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		kind job.Kind
	}{
		"not there":          {job.Errorf(job.KindNotFound, "no such blob"), job.KindInvalid},
		"not a digest":       {job.Errorf(job.KindInvalid, "no digest"), job.KindInvalid},
		"storage away":       {fmt.Errorf("opening: %w", job.Errorf(job.KindUnavailable, "no answer")), job.KindUnavailable},
		"storage refuses us": {job.Errorf(job.KindConfig, "the key is unknown"), job.KindUnavailable},
		"damaged":            {job.Errorf(job.KindInternal, "damaged"), job.KindUnavailable},
		"a disk error":       {unix.EIO, job.KindUnavailable},
	} {
		err := unreadable(File{Path: "a/b"}, tc.err)
		if job.KindOf(err) != tc.kind || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), "a/b") {
			t.Errorf("%s: %s, %v", name, job.KindOf(err), err)
		}
	}
}
