package sandbox

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// roleVariable makes this test binary play another process: "hold DIR" has a
// home in DIR until its standard input ends, "churn DIR" makes and removes
// homes, and reclaims, many times.
const roleVariable = "TAKO_SANDBOX_TEST_ROLE"

func TestMain(m *testing.M) {
	if role, dir, ok := strings.Cut(os.Getenv(roleVariable), " "); ok {
		if err := play(role, dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(role, dir string) error {
	ctx := context.Background()
	rounds := 1
	if role == "churn" {
		rounds = 30
	}
	for range rounds {
		h, err := NewHome(ctx, dir)
		if err != nil {
			return err
		}
		if _, err := Reclaim(ctx, dir, nil); err != nil {
			return err
		}
		if role == "hold" {
			fmt.Println(h.ID)
			if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
				return err
			}
		}
		// What another process has taken for dead is gone now.
		if err := os.WriteFile(filepath.Join(h.Dir, "mine"), nil, 0o600); err != nil {
			return err
		}
		if err := h.Close(); err != nil {
			return err
		}
	}
	return nil
}

// actor is a process that plays a role.
type actor struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	errOut strings.Builder
	id     string // of its home
}

func start(t *testing.T, role, dir string) *actor {
	t.Helper()
	a := &actor{cmd: exec.CommandContext(t.Context(), os.Args[0])}
	a.cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+dir)
	a.cmd.Stderr = &a.errOut
	var err error
	a.stdin, err = a.cmd.StdinPipe()
	must(t, err)
	stdout, err := a.cmd.StdoutPipe()
	must(t, err)
	must(t, a.cmd.Start())
	t.Cleanup(func() { a.cmd.Process.Kill(); a.cmd.Wait() }) //nolint:errcheck // it has ended, mostly
	if role == "hold" {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err != nil {
			t.Fatalf("%s said %q, %v: %s", role, line, err, &a.errOut)
		}
		a.id = strings.TrimSpace(line)
	}
	return a
}

// killed are n homes in dir whose processes were killed.
func killed(t *testing.T, dir string, n int) (dead []string) {
	t.Helper()
	actors := make([]*actor, n)
	for i := range actors {
		actors[i] = start(t, "hold", dir)
	}
	for _, a := range actors {
		must(t, a.cmd.Process.Kill())
		_ = a.cmd.Wait() // killed
		home := filepath.Join(dir, runDir, a.id)
		if !exists(home) {
			t.Fatal("the dead process has left nothing")
		}
		dead = append(dead, home)
	}
	return dead
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// exists reports whether something is at path.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// homes lists what is in run/, the lock aside.
func homes(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, runDir))
	must(t, err)
	for _, e := range entries {
		if e.Name() != lockFile {
			names = append(names, e.Name())
		}
	}
	return names
}
