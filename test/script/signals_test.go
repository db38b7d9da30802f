package script

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startTako runs tako with a program that prints "up" and then waits, and
// returns when it has printed.
func startTako(t *testing.T, b *bench, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	code := `import time; print("up", flush=True); time.sleep(300)`
	cmd := exec.CommandContext(t.Context(), b.binary, append(append([]string{"run"}, args...), "-c", code)...)
	cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	var errOut strings.Builder
	cmd.Stderr = &errOut
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "up\n" {
		t.Fatalf("the program said %q, %v: %s", line, err, errOut.String())
	}
	return cmd, &errOut
}

// Ctrl-C, and what a service manager sends, end the sandbox and leave nothing.
func TestSignalsEndTheSandbox(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		cmd, errOut := startTako(t, b)
		must(t, cmd.Process.Signal(sig))
		err := cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("after %v tako ended with %v: %s", sig, err, errOut)
		}
		if left := leftovers(b.root); len(left) > 0 {
			t.Errorf("after %v left behind: %v", sig, left)
		}
	}
}

// When nobody reads its output any more, tako ends, quietly.
func TestClosedPipeEndsTheSandbox(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	cmd := exec.CommandContext(t.Context(), "bash", "-c",
		`set -o pipefail; tako run -c 'while True: print("line", flush=True)' | head -n 1`)
	cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "HOME=" + b.work, "PATH=" + filepath.Dir(b.binary) + ":/usr/bin:/bin"}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 141 || string(out) != "line\n" {
		t.Errorf("exit code %d and %q", code, out)
	}
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A killed tako takes its sandbox along, and the next one finds the rest.
func TestKilledTakoIsCleanedUpAfter(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	alive, _ := startTako(t, b)
	dying, _ := startTako(t, b)
	must(t, dying.Process.Kill())
	_ = dying.Wait() // killed
	next := exec.CommandContext(t.Context(), b.binary, "run", "-c", "print(1)")
	next.Env = dying.Env
	if out, err := next.CombinedOutput(); err != nil {
		t.Fatalf("the next tako: %v\n%s", err, out)
	}
	if left := leftovers(b.root); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	must(t, alive.Process.Signal(syscall.Signal(0)))
	if homes, err := os.ReadDir(b.root + "/run"); err != nil || len(homes) != 2 { // one home and the lock
		t.Errorf("the living tako's home: %v, %v", homes, err)
	}
	must(t, alive.Process.Signal(syscall.SIGINT))
	if err := alive.Wait(); err == nil || alive.ProcessState.ExitCode() != 130 {
		t.Errorf("the living tako ended with %v", err)
	}
}
