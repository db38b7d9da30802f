package environment

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets a test run this binary again as another process that ensures
// an environment, and dies at a step if told so.
func TestMain(m *testing.M) {
	root := os.Getenv("TAKO_TEST_ROOT")
	if root == "" {
		os.Exit(m.Run())
	}
	h := &Host{Root: root, Cache: os.Getenv("TAKO_TEST_CACHE"), now: later}
	h.step = func(step string) {
		if step == "created" {
			fmt.Println("built")
		}
		if step == os.Getenv("TAKO_TEST_CRASH") {
			os.Exit(9) // nothing deferred runs, as with SIGKILL
		}
	}
	env, err := h.Ensure(context.Background(), nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(env.Digest)
}

func another(t *testing.T, h *Host, crash string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TAKO_TEST_ROOT="+h.Root, "TAKO_TEST_CACHE="+h.Cache, "TAKO_TEST_CRASH="+crash)
	return cmd
}

func TestManyProcessesBuildOnce(t *testing.T) {
	h := newHost(t, with(debian(), map[string]string{"/usr/lib/python3/dist-packages/big.py": strings.Repeat("x", 4<<20)}))
	outputs := make([]strings.Builder, 4)
	var all []*exec.Cmd
	for i := range outputs {
		cmd := another(t, h, "")
		cmd.Stdout = &outputs[i]
		must(t, cmd.Start())
		all = append(all, cmd)
	}
	built, digests := 0, map[string]bool{}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, outputs[i].String())
		}
		for _, line := range strings.Fields(outputs[i].String()) {
			if line == "built" {
				built++
			} else {
				digests[line] = true
			}
		}
	}
	if built != 1 || len(digests) != 1 {
		t.Errorf("built %d times, digests %v", built, digests)
	}
}

func TestCrashAtEveryStep(t *testing.T) {
	for _, step := range []string{"created", "written", "removed", "described", "finished", "indexed"} {
		for _, old := range []string{"first build", "over a corrupt image"} {
			t.Run(step+", "+old, func(t *testing.T) {
				h := newHost(t, debian())
				if old != "first build" {
					edit(t, ensure(t, h).Image, flip(-1))
				}
				cmd := another(t, h, step)
				if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 9 {
					t.Fatalf("%v: %s", err, out)
				}
				env := ensure(t, h)
				must(t, Verify(env.Image))
				readImage(t, env.Image)
				onlyIn(t, h.Cache, filepath.Base(env.Image), filepath.Base(sidecarPath(env.Image)), "python.index", "python.lock")
			})
		}
	}
}
