// Package script runs the end-to-end scripts of testdata against the real
// binary, as root and as an ordinary user.
package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/takovm/tako/internal/takotest"
)

// ordinaryUser is a uid that no machine gives to anybody.
const ordinaryUser = 54321

// bench is what all scripts of a run share: the binary and data directories,
// in which this machine's environment is packed once.
type bench struct {
	binary         string
	root, userRoot string // directories of root's and the user's data
	work           string // where scripts run, open to the ordinary user
}

// TestMain makes what all tests share, once: packing an environment takes
// seconds.
func TestMain(m *testing.M) {
	base, err := os.MkdirTemp("", "tako-script-")
	if err != nil {
		panic(err)
	}
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	must(os.Chmod(base, 0o755))
	for _, dir := range []string{"root", "user"} {
		must(os.Mkdir(filepath.Join(base, dir), 0o700))
	}
	if os.Geteuid() == 0 {
		must(os.Chown(filepath.Join(base, "user"), ordinaryUser, ordinaryUser))
	}
	must(os.Setenv(baseVariable, base))
	code := m.Run()
	must(os.RemoveAll(base))
	os.Exit(code)
}

// baseVariable names the shared directory.
const baseVariable = "TAKO_SCRIPT_BASE"

// newBench returns the shared directories with a work directory of t's own.
func newBench(t *testing.T) *bench {
	t.Helper()
	base := os.Getenv(baseVariable)
	b := &bench{
		binary:   filepath.Join(base, "tako"), // where the user can execute it
		root:     filepath.Join(base, "root"),
		userRoot: filepath.Join(base, "user"),
	}
	var err error
	b.work, err = os.MkdirTemp(base, "work-")
	must(t, err)
	must(t, os.Chmod(b.work, 0o755))
	t.Cleanup(func() {
		if err := os.RemoveAll(b.work); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(b.binary); err != nil {
		data, err := os.ReadFile(takotest.Binary(t))
		must(t, err)
		must(t, os.WriteFile(b.binary, data, 0o755))
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestScripts(t *testing.T) {
	b := newBench(t)
	b.pack(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         b.work,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               b.setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tako":     b.tako,
			"usertako": b.userTako,
			"oneline":  oneLine,
			"nothing":  b.nothingLeft,
			"repeat":   repeat,
			"archive":  archive, "wheel": wheel, "sameimage": sameImage,
		},
		Condition: condition,
	})
}

// pack makes the environments of both users, so that no script sees progress.
func (b *bench) pack(t *testing.T) {
	t.Helper()
	for _, user := range []bool{false, true} {
		cmd := exec.CommandContext(t.Context(), b.binary, "doctor")
		cmd.Env = []string{"TAKO_VM_DATA_DIR=" + b.root, "TAKO_VM_SECURITY_MODE=permissive"}
		if user {
			if os.Geteuid() != 0 {
				continue
			}
			cmd.SysProcAttr = asUser()
			cmd.Env[0] = "TAKO_VM_DATA_DIR=" + b.userRoot
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("packing the environment: %v\n%s", err, out)
		}
	}
}

// asUser runs a command as the ordinary user.
func asUser() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinaryUser, Gid: ordinaryUser}}
}

func (b *bench) setup(env *testscript.Env) error {
	env.Setenv("TAKO_VM_DATA_DIR", b.root)
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("PATH", filepath.Dir(b.binary)+":"+os.Getenv("PATH"))
	return os.Chmod(env.WorkDir, 0o755)
}

func condition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "node":
		_, err := os.Stat("/usr/bin/node")
		return err == nil, nil
	case "numpy":
		found, err := filepath.Glob("/usr/lib/python3/dist-packages/numpy")
		return len(found) > 0, err
	case "pandas":
		found, err := filepath.Glob("/usr/lib/python3/dist-packages/pandas")
		return len(found) > 0, err
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// tako [CODE] ARGS...: runs tako and expects the exit code CODE, 0 without.
func (b *bench) tako(ts *testscript.TestScript, neg bool, args []string) {
	b.run(ts, neg, args, exec.Command(b.binary), nil)
}

// usertako is tako as an ordinary user with a data directory of their own.
func (b *bench) userTako(ts *testscript.TestScript, neg bool, args []string) {
	cmd := exec.Command(b.binary)
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = asUser()
	}
	b.run(ts, neg, args, cmd, []string{"TAKO_VM_DATA_DIR=" + b.userRoot, "HOME=" + b.userRoot})
}

func (b *bench) run(ts *testscript.TestScript, neg bool, args []string, cmd *exec.Cmd, env []string) {
	if neg {
		ts.Fatalf("give the exit code that is expected instead of !")
	}
	want := 0
	if len(args) > 0 {
		if _, err := fmt.Sscanf(args[0], "%d", &want); err == nil && strings.Trim(args[0], "0123456789") == "" {
			args = args[1:]
		}
	}
	cmd.Args = append([]string{"tako"}, args...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TAKO_VM_DATA_DIR", "TAKO_VM_SECURITY_MODE", "TAKO_VM_CONFIG", "XDG_DATA_HOME"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = strings.NewReader(readIfThere(ts, "stdin"))
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		ts.Fatalf("tako did not start: %v", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("tako exited with %d, want %d", got, want)
	}
}

// readIfThere is the content of a file of the script, "" without one.
func readIfThere(ts *testscript.TestScript, name string) string {
	if _, err := os.Stat(ts.MkAbs(name)); err != nil {
		return ""
	}
	return ts.ReadFile(name)
}

// oneline: the last standard error is exactly one line.
func oneLine(ts *testscript.TestScript, neg bool, _ []string) {
	text := ts.ReadFile("stderr")
	if n := strings.Count(text, "\n"); n != 1 || !strings.HasSuffix(text, "\n") {
		ts.Fatalf("standard error is not one line:\n%s", text)
	}
}

// nothing: no sandbox, cgroup or file of a finished tako is left.
func (b *bench) nothingLeft(ts *testscript.TestScript, neg bool, _ []string) {
	for _, root := range []string{b.root, b.userRoot} {
		for _, what := range leftovers(root) {
			ts.Fatalf("left behind: %s", what)
		}
	}
}

// repeat TEXT COUNT FILE: writes TEXT COUNT times to FILE.
func repeat(ts *testscript.TestScript, neg bool, args []string) {
	n := 0
	if _, err := fmt.Sscanf(args[1], "%d", &n); err != nil {
		ts.Fatalf("repeat: %v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Repeat(args[0], n)), 0o644))
}
