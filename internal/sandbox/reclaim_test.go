package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/takotest"
)

func reclaim(t *testing.T, dir string, groups *cgroup.Tree, want Reclaimed) {
	t.Helper()
	got, err := Reclaim(t.Context(), dir, groups)
	must(t, err)
	if got != want {
		t.Errorf("reclaimed %+v, want %+v", got, want)
	}
}

// A dead process's home goes with all that is in it, a living one's stays.
func TestReclaim(t *testing.T) {
	dir := t.TempDir()
	live, mine := start(t, "hold", dir), newHome(t, dir)
	dead := killed(t, dir, 1)[0]
	must(t, os.MkdirAll(filepath.Join(dead, "engine", "state", "deep"), 0o700))
	must(t, os.WriteFile(filepath.Join(dead, "engine", "sealed"), []byte("x"), 0))
	must(t, os.Symlink(mine.Dir, filepath.Join(dead, "link")))
	must(t, unix.Mkfifo(filepath.Join(dead, "fifo"), 0o600))
	reclaim(t, dir, nil, Reclaimed{Homes: 1})
	if exists(dead) || !exists(filepath.Join(dir, "run", live.id)) || !exists(filepath.Join(mine.Dir, lockFile)) {
		t.Errorf("left: %q", homes(t, dir))
	}
	reclaim(t, dir, nil, Reclaimed{})
	must(t, live.stdin.Close())
	if err := live.cmd.Wait(); err != nil {
		t.Errorf("the living process: %v: %s", err, &live.errOut)
	}
	must(t, mine.Close())
}

// What is not a home of ours is nobody's to remove.
func TestReclaimLeavesTheRest(t *testing.T) {
	dir := t.TempDir()
	must(t, newHome(t, dir).Close())
	run := filepath.Join(dir, "run")
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	for _, name := range []string{"notes", "12-abc", "-12345678", "12-1234567g", "12-12345678.bak", "x12-12345678"} {
		must(t, os.MkdirAll(filepath.Join(run, name), 0o700))
		must(t, os.WriteFile(filepath.Join(run, name, lockFile), nil, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(run, "1-00000001"), nil, 0o600)) // a file
	must(t, os.Symlink(outside, filepath.Join(run, "1-00000002")))      // a link
	// A home whose making was interrupted: empty, so it goes; one with files
	// and no lock is none of ours.
	must(t, os.Mkdir(filepath.Join(run, "1-00000003"), 0o700))
	must(t, os.MkdirAll(filepath.Join(run, "1-00000004", "kept"), 0o700))
	before := homes(t, dir)
	reclaim(t, dir, nil, Reclaimed{})
	if after := homes(t, dir); len(after) != len(before)-1 || exists(filepath.Join(run, "1-00000003")) {
		t.Errorf("of %q are left %q", before, after)
	}
	if !exists(filepath.Join(outside, "precious")) {
		t.Error("what a link led to is gone")
	}
}

// A lock that is a link is not followed and not taken for dead.
func TestReclaimLockIsALink(t *testing.T) {
	dir := t.TempDir()
	must(t, newHome(t, dir).Close())
	home := filepath.Join(dir, "run", "1-00000001")
	must(t, os.Mkdir(home, 0o700))
	target := filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, nil, 0o600))
	must(t, os.Symlink(target, filepath.Join(home, lockFile)))
	if sum, err := Reclaim(t.Context(), dir, nil); err == nil || sum != (Reclaimed{}) || !exists(target) || !exists(home) {
		t.Errorf("reclaimed %+v, %v", sum, err)
	}
}

// One home that cannot be removed keeps nobody from the others.
func TestReclaimGoesOn(t *testing.T) {
	takotest.RequireRoot(t)
	dir := t.TempDir()
	dead := killed(t, dir, 2)
	stuck, loose := dead[0], dead[1]
	sealed := filepath.Join(stuck, "sealed")
	must(t, os.WriteFile(sealed, nil, 0o600))
	immutable(t, sealed, true)
	t.Cleanup(func() { immutable(t, sealed, false) })
	sum, err := Reclaim(t.Context(), dir, nil)
	if err == nil || !strings.Contains(err.Error(), stuck) || sum.Homes != 2 || exists(loose) || !exists(stuck) {
		t.Errorf("reclaimed %+v, %v", sum, err)
	}
	immutable(t, sealed, false)
	reclaim(t, dir, nil, Reclaimed{Homes: 1})
}

// immutable sets or clears chattr's +i.
func immutable(t *testing.T, path string, on bool) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		return // it is gone
	}
	defer f.Close()
	const flag = 0x10 // FS_IMMUTABLE_FL
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Skipf("this file system has no flags: %v", err)
	}
	flags &^= flag
	if on {
		flags |= flag
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
		t.Skipf("this file system has no such flag: %v", err)
	}
}

// impostor is a process that looks like a sandbox with the bundle directory; it
// runs until it is killed.
func impostor(t *testing.T, argv0, bundle string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh")
	cmd.Args = []string{argv0, "-c", "echo up; read x", "sh", "--bundle=" + bundle}
	stdin, err := cmd.StdinPipe()
	must(t, err)
	t.Cleanup(func() { stdin.Close(); cmd.Process.Kill(); cmd.Wait() }) //nolint:errcheck // it has ended, mostly
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	_, err = stdout.Read(make([]byte, 8))
	must(t, err)
	return cmd
}

// A sandbox that has outlived its tako is killed; its neighbours are not.
func TestReclaimProcesses(t *testing.T) {
	dir := t.TempDir()
	live := newHome(t, dir)
	dead := killed(t, dir, 1)[0]
	theirs := impostor(t, "runsc-sandbox", dead+"/engine/abc")
	others := []*exec.Cmd{
		impostor(t, "runsc-sandbox", live.Dir+"/engine/abc"),
		impostor(t, "runsc-sandbox", dead+"0/engine/abc"),
		impostor(t, "sh", dead+"/engine/abc"),
	}
	reclaim(t, dir, nil, Reclaimed{Homes: 1, Processes: 1})
	err := theirs.Wait()
	if status, ok := theirs.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("the leftover ended with %v", err)
	}
	for _, o := range others {
		if err := o.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("%q: %v", o.Args, err)
		}
	}
	must(t, live.Close())
}

// Cgroups of a dead process go with the processes in them.
func TestReclaimGroups(t *testing.T) {
	takotest.RequireRoot(t)
	tree := takotest.Cgroups(t)
	if tree == nil {
		t.Skip("no cgroups")
	}
	dir := t.TempDir()
	live := newHome(t, dir)
	dead := killed(t, dir, 1)[0]
	limits := cgroup.Limits{Memory: 64 << 20, CPUs: 1, Tasks: 100}
	create := func(name string) *cgroup.Group {
		g, err := tree.Create(name, limits)
		must(t, err)
		t.Cleanup(func() { must(t, g.Remove()) })
		return g
	}
	kept := create(live.ID + ".sb")
	create(filepath.Base(dead) + ".sb1")
	inhabited := create(filepath.Base(dead) + ".sb2")
	// It does not look like a sandbox: only its cgroup gives it away.
	cmd := impostor(t, "sh", "none")
	for _, procs := range inhabited.ProcsFiles() {
		must(t, os.WriteFile(procs, []byte(strconv.Itoa(cmd.Process.Pid)), 0))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	reclaim(t, dir, tree, Reclaimed{Homes: 1, Groups: 2})
	if err := <-ended; err == nil {
		t.Error("the process in the cgroup was not killed")
	}
	for _, procs := range inhabited.ProcsFiles() {
		if exists(filepath.Dir(procs)) {
			t.Errorf("%s is there still", filepath.Dir(procs))
		}
	}
	for _, procs := range kept.ProcsFiles() {
		if !exists(procs) {
			t.Errorf("%s of a living process is gone", procs)
		}
	}
	must(t, live.Close())
}

// Mounts below a dead home go, one in another and names with a space included.
func TestReclaimMounts(t *testing.T) {
	takotest.RequireRoot(t)
	dir := filepath.Join(t.TempDir(), "a b\\c")
	live := newHome(t, dir)
	dead := killed(t, dir, 1)[0]
	outer := filepath.Join(dead, "engine")
	inner := filepath.Join(outer, "inner mount")
	for _, at := range []string{outer, inner, inner, live.Dir + "/mine"} {
		mkdir(t, at)
		must(t, unix.Mount("tako-test", at, "tmpfs", 0, "size=64k"))
		t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) }) //nolint:errcheck // reclaimed, mostly
	}
	must(t, os.WriteFile(filepath.Join(inner, "file"), nil, 0o600))
	reclaim(t, dir, nil, Reclaimed{Homes: 1, Mounts: 3})
	if exists(dead) {
		t.Error("the dead home is there still")
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	if strings.Contains(string(table), filepath.Base(dead)) || !strings.Contains(string(table), live.ID+"/mine") {
		t.Errorf("the mounts are\n%s", table)
	}
	must(t, unix.Unmount(live.Dir+"/mine", 0))
	must(t, live.Close())
}

// A copy of a data directory is reclaimed without touching what the original's
// process, which lives, has elsewhere.
func TestReclaimCopy(t *testing.T) {
	dir, copied := t.TempDir(), t.TempDir()
	live := newHome(t, dir)
	must(t, os.CopyFS(filepath.Join(copied, "run"), os.DirFS(filepath.Join(dir, "run"))))
	must(t, os.Chmod(filepath.Join(copied, "run"), 0o700))
	reclaim(t, copied, nil, Reclaimed{Homes: 1})
	if !exists(filepath.Join(live.Dir, lockFile)) || len(homes(t, copied)) != 0 {
		t.Error("the original is gone, or the copy is not")
	}
	must(t, live.Close())
}
