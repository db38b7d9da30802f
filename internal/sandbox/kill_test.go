package sandbox

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/takovm/tako/internal/takotest"
)

// tako is a tako process, killed with the test.
type tako struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	out    *bufio.Reader
	errOut strings.Builder
}

// startTako starts the real binary.
func startTako(t *testing.T, binary, dir string, args ...string) *tako {
	t.Helper()
	k := &tako{cmd: exec.CommandContext(t.Context(), binary, append([]string{"run", "--timeout", "300"}, args...)...)}
	k.cmd.Env = []string{"TAKO_VM_DATA_DIR=" + dir, "HOME=" + dir}
	if os.Geteuid() != 0 {
		k.cmd.Env = append(k.cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	k.cmd.Stderr = &k.errOut
	var err error
	k.stdin, err = k.cmd.StdinPipe()
	must(t, err)
	stdout, err := k.cmd.StdoutPipe()
	must(t, err)
	k.out = bufio.NewReader(stdout)
	must(t, k.cmd.Start())
	return k
}

// expect reads a line of its output.
func (k *tako) expect(t *testing.T, want string) {
	t.Helper()
	if line, err := k.out.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("tako said %q, %v; want %q: %s", line, err, want, &k.errOut)
	}
}

// die kills it and returns the id that its home began with.
func (k *tako) die(t *testing.T) (prefix string) {
	t.Helper()
	must(t, k.cmd.Process.Kill())
	_ = k.cmd.Wait() // killed
	return strconv.Itoa(k.cmd.Process.Pid) + "-"
}

// A tako that is killed, at whatever moment, takes its sandbox along, and the
// next one removes what it could not.
func TestKilledAtAnyMoment(t *testing.T) {
	binary := takotest.Binary(t)
	env, _ := takotest.Images(t)
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "cache"))
	must(t, os.Symlink(filepath.Dir(env.Image), filepath.Join(dir, "cache", "environments")))

	live := startTako(t, binary, dir, "--stdin", "-", "-c",
		`import sys; print("up", flush=True); sys.stdin.read(); print("done")`)
	live.expect(t, "up")
	liveHome := homes(t, dir)
	if len(liveHome) != 1 {
		t.Fatalf("the living tako's home is one of %q", liveHome)
	}

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const rounds, latest = 20, 400 * time.Millisecond
	var dead []string
	for range rounds {
		k := startTako(t, binary, dir, "-c", `import time; print("up", flush=True); time.sleep(60)`)
		moment := time.NewTimer(latest)
		if random.IntN(5) == 0 {
			k.expect(t, "up") // and then at once
			moment.Reset(0)
		} else {
			moment.Reset(time.Duration(random.Int64N(int64(latest))))
		}
		<-moment.C
		prefix := k.die(t)
		dead = append(dead, prefix)
		takotest.Settled(t, 5*time.Second, func() error { return survivors(dir, prefix) })
	}

	next := startTako(t, binary, dir, "-c", "print(1)")
	next.expect(t, "1")
	if err := next.cmd.Wait(); err != nil {
		t.Errorf("the next tako: %v: %s", err, &next.errOut)
	}
	if next.errOut.Len() > 0 {
		t.Errorf("the next tako said %s", &next.errOut)
	}
	if left := homes(t, dir); len(left) != 1 || left[0] != liveHome[0] {
		t.Errorf("left are %q, alive is %q", left, liveHome)
	}
	for _, prefix := range dead {
		if left, err := filepath.Glob("/sys/fs/cgroup/*/tako/" + prefix + "*"); err != nil || len(left) > 0 {
			t.Errorf("left are %q, %v", left, err)
		}
	}

	must(t, live.stdin.Close())
	live.expect(t, "done")
	if err := live.cmd.Wait(); err != nil {
		t.Errorf("the living tako: %v: %s", err, &live.errOut)
	}
	if left := homes(t, dir); len(left) != 0 {
		t.Errorf("left are %q", left)
	}
}

// survivors reports processes that belong to homes with the prefix.
func survivors(dir, prefix string) error {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, file := range lines {
		cmdline, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(cmdline), "--bundle="+filepath.Join(dir, runDir, prefix)) {
			return fmt.Errorf("%s survives: %q", file, cmdline)
		}
	}
	groups, err := filepath.Glob("/sys/fs/cgroup/*/tako/" + prefix + "*/cgroup.procs")
	if err != nil {
		return err
	}
	for _, file := range groups {
		if procs, err := os.ReadFile(file); err == nil && len(procs) > 0 {
			return fmt.Errorf("%s holds %q", file, procs)
		}
	}
	return nil
}
