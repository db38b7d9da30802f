package gvisor

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/enginetest"
	"github.com/takovm/tako/internal/guest"
	"github.com/takovm/tako/internal/takotest"
)

var update = flag.Bool("update", false, "write the golden files again")

// The whole spec of a sandbox, as data: a line more, less or other in the spec
// builder is a difference here.
func TestSpecGolden(t *testing.T) {
	spec := enginetest.Spec("golden", enginetest.Config{Image: "/image.erofs", Init: "/init.erofs"})
	got, err := json.MarshalIndent(buildSpec(spec, "/bundle"), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/spec.json"
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(bytes.TrimSpace(want)), string(got)); diff != "" {
		t.Errorf("spec (-want +got):\n%s", diff)
	}
}

func TestConfigGolden(t *testing.T) {
	conf, err := runscConfig("/state", "/crash.log", true, "")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.DeleteFunc(conf.ToFlags(), func(f string) bool { return strings.HasPrefix(f, "--rootless=") })
	slices.Sort(got)
	want := []string{
		"--control-rpc-stop-timeout=0s", "--directfs=false", "--host-settings=ignore", "--ignore-cgroups=true",
		"--log-format=json", "--log=/crash.log", "--network=none", "--overlay2=none",
		"--override-procs=cpuinfo,sentry-meminfo", "--panic-log=/crash.log", "--platform=systrap", "--root=/state",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

// hostPosture is a Sentry as the host sees it.
type hostPosture struct {
	Status      map[string]string
	Namespaces  []string // those that differ from tako's
	Root        []string // what is in its root directory
	Descriptors []string // kinds, without repetition
	Groups      []string // controllers in whose tako group it is
}

func TestHostPosture(t *testing.T) {
	env, init := takotest.Images(t)
	spec := enginetest.Spec("host", enginetest.Config{Image: env.Image, Init: init, Permissive: os.Geteuid() != 0})
	t.Run("launched", func(t *testing.T) {
		sb, err := newEngine(t, takotest.Binary(t)).Launch(t.Context(), spec)
		checkHostPosture(t, sb, err, env.Image, init)
	})
	// It keeps the dead pipes that it was given for stdio: no init that comes
	// out of a snapshot has them.
	t.Run("restored", func(t *testing.T) {
		e := newEngine(t, takotest.Binary(t))
		sb, err := e.Launch(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		greet(t, sb)
		snapshot, err := sb.Checkpoint(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		sb, err = e.Restore(t.Context(), spec, snapshot)
		checkHostPosture(t, sb, err, env.Image, init, "pipe")
	})
}

// greet waits until init has let go of its stdio.
func greet(t *testing.T, sb engine.Sandbox) {
	t.Helper()
	session := guest.NewSession(sb.Control())
	t.Cleanup(func() { session.Close() })
	if _, err := session.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func checkHostPosture(t *testing.T, sb engine.Sandbox, err error, image, init string, more ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sb.Destroy() })
	greet(t, sb)
	pid := int(sb.(*sandbox).pid.Load())
	if os.Geteuid() != 0 {
		checkUserPosture(t, pid)
		return
	}
	nobody := strings.Join([]string{"65534", "65534", "65534", "65534"}, "\t")
	want := hostPosture{
		Status: map[string]string{
			"Uid": nobody, "Gid": nobody, "Groups": "", "NoNewPrivs": "1", "Seccomp": "2",
			"CapInh": zeroCaps, "CapPrm": ptraceCap, "CapEff": ptraceCap, "CapBnd": ptraceCap, "CapAmb": zeroCaps,
		},
		Namespaces:  []string{"ipc", "mnt", "net", "pid", "user", "uts"},
		Root:        []string{"etc", "proc"},
		Descriptors: []string{"anon_inode:[eventfd]", "anon_inode:[eventpoll]", "anon_inode:[pidfd]", "anon_inode:seccomp notify", "crash log", "image", "init", "memfd", "null", "socket"},
		Groups:      []string{"cpu", "cpuacct", "memory", "pids"},
	}
	want.Descriptors = slices.Sorted(slices.Values(append(want.Descriptors, more...)))
	if diff := cmp.Diff(want, readHostPosture(t, pid, image, init)); diff != "" {
		t.Errorf("host posture (-want +got):\n%s", diff)
	}
}

// checkUserPosture compares what an ordinary user can read of a Sentry of its
// own: it has the user's ids outside, and nothing more than root's has.
func checkUserPosture(t *testing.T, pid int) {
	t.Helper()
	own := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("%d\t", os.Geteuid()), 4), "\t")
	want := map[string]string{
		"Uid": own, "NoNewPrivs": "1", "Seccomp": "2",
		"CapInh": zeroCaps, "CapPrm": ptraceCap, "CapEff": ptraceCap, "CapBnd": ptraceCap, "CapAmb": zeroCaps,
	}
	got := readStatus(t, pid)
	delete(got, "Gid")
	delete(got, "Groups")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("posture as a user (-want +got):\n%s", diff)
	}
}

// CAP_SYS_PTRACE alone, which systrap wants over its own stubs. It is one of
// the Sentry's own user namespace, in which there is nothing else.
const (
	zeroCaps  = "0000000000000000"
	ptraceCap = "0000000000080000"
)

func readHostPosture(t *testing.T, pid int, image, init string) hostPosture {
	t.Helper()
	p := hostPosture{Status: readStatus(t, pid)}
	proc := fmt.Sprintf("/proc/%d/", pid)
	for _, ns := range []string{"ipc", "mnt", "net", "pid", "user", "uts"} {
		if readLink(t, proc+"ns/"+ns) != readLink(t, "/proc/self/ns/"+ns) {
			p.Namespaces = append(p.Namespaces, ns)
		}
	}
	entries, err := os.ReadDir(proc + "root")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		p.Root = append(p.Root, e.Name())
	}
	p.Descriptors = descriptorKinds(t, proc, image, init)
	for line := range strings.Lines(readFile(t, proc+"cgroup")) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if strings.HasPrefix(parts[2], "/tako/") {
			p.Groups = append(p.Groups, parts[1])
		}
	}
	slices.Sort(p.Groups)
	return p
}

// readStatus reads the lines of /proc/<pid>/status that are about privileges.
func readStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	names := []string{"Uid", "Gid", "Groups", "NoNewPrivs", "Seccomp", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}
	status := map[string]string{}
	for line := range strings.Lines(readFile(t, fmt.Sprintf("/proc/%d/status", pid))) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		if slices.Contains(names, name) {
			status[name] = strings.TrimSpace(value)
		}
	}
	return status
}

// descriptorKinds says what a process holds open, each kind once.
func descriptorKinds(t *testing.T, proc, image, init string) []string {
	t.Helper()
	entries, err := os.ReadDir(proc + "fd")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range entries {
		target, err := os.Readlink(proc + "fd/" + e.Name())
		if err != nil {
			continue // closed meanwhile
		}
		switch {
		case target == image:
			target = "image"
		case target == init:
			target = "init"
		case strings.HasPrefix(target, "/memfd:"):
			target = "memfd"
		case target == os.DevNull:
			target = "null"
		case filepath.Base(target) == "crash.log":
			target = "crash log"
		default:
			target, _, _ = strings.Cut(target, ":[")
			if strings.HasPrefix(target, "anon_inode") {
				target, _ = os.Readlink(proc + "fd/" + e.Name())
			}
		}
		kinds = append(kinds, target)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func readLink(t *testing.T, path string) string {
	t.Helper()
	target, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}
