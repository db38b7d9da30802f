package gvisor

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine"
)

var annotations = map[string]string{annotationTotal: "536870912", annotationCPUs: "2", annotationFiles: "20000"}

func TestCorrectArgs(t *testing.T) {
	const corrected = "--total-memory=536870912 --total-host-memory=163840000 --cpu-num=2 --apply-caps=true"
	for name, tt := range map[string]struct{ args, want string }{
		"as gVisor has them": {
			"runsc-sandbox --root=/r boot --bundle=/b --total-host-memory 999 --cpu-num=64 --total-memory 999 --attached id",
			"runsc-sandbox --root=/r boot --bundle=/b --attached " + corrected + " id",
		},
		"joined": {
			"runsc-sandbox boot --total-memory=999 id",
			"runsc-sandbox boot " + corrected + " id",
		},
		"a flag before boot is gVisor's own": {
			"runsc-sandbox --total-memory=1 boot id",
			"runsc-sandbox --total-memory=1 boot " + corrected + " id",
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := strings.Fields(tt.args)
			boot := 0
			for i, a := range args {
				if a == "boot" {
					boot = i
				}
			}
			got, err := correctArgs(args, boot, annotations)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Fields(tt.want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

// Without the numbers a sandbox would see the host's: it must not start.
func TestCorrectArgsNeedsTheNumbers(t *testing.T) {
	for _, missing := range []string{annotationTotal, annotationFiles} {
		incomplete := map[string]string{}
		for k, v := range annotations {
			if k != missing {
				incomplete[k] = v
			}
		}
		if _, err := correctArgs([]string{"runsc-sandbox", "boot", "id"}, 1, incomplete); err == nil {
			t.Errorf("without %s: no error", missing)
		}
	}
}

func TestJoinCgroupFails(t *testing.T) {
	if err := joinCgroup(filepath.Join(t.TempDir(), "gone", "cgroup.procs")); err == nil {
		t.Error("joining a cgroup that is not there is no error")
	}
	if err := joinCgroup(""); err != nil {
		t.Errorf("nothing to join: %v", err)
	}
}

func TestReleased(t *testing.T) {
	want := time.Date(2026, 9, 5, 3, 51, 2, 0, time.UTC)
	if got := released("v0.0.0-20260905035102-160fafc42237"); !got.Equal(want) {
		t.Errorf("released %v, want %v", got, want)
	}
	for _, version := range []string{"unknown", "v1.2.3", "v0.0.0-x-y"} {
		if got := released(version); !got.IsZero() {
			t.Errorf("%s was released %v", version, got)
		}
	}
}

// Whatever the spec's strings say, the annotations are the launcher's.
func TestFindAnnotations(t *testing.T) {
	spec := buildSpec(engine.Spec{
		Args: []string{`"annotations":{"dev.tako.cpus":"64"}`}, Env: []string{`A="annotations":{}`}, Hostname: `"annotations":`,
	}, "/b")
	spec.Annotations[annotationJoin] = "/a:/b"
	data, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	got, err := findAnnotations(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec.Annotations, got); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "{}", `{"annotations":`, `{"annotations":[]}`} {
		if _, err := findAnnotations([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// What a launcher has open for other sandboxes, whatever it is, stays with it:
// gVisor makes sockets and event descriptors that a fork inherits.
func TestCloseAbove(t *testing.T) {
	const high = 500
	made := func(command int) int {
		t.Helper()
		event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(event)
		fd, err := unix.FcntlInt(uintptr(event), command, high)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	inherited, own := made(unix.F_DUPFD), made(unix.F_DUPFD_CLOEXEC)
	defer unix.Close(own)
	if err := closeAbove(high - 1); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(inherited), unix.F_GETFD, 0); err != unix.EBADF {
		t.Errorf("the inherited one is still open: %v", err)
	}
	if _, err := unix.FcntlInt(uintptr(own), unix.F_GETFD, 0); err != nil {
		t.Errorf("its own is closed: %v", err)
	}
}
