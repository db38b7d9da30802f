package gvisor

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/takovm/tako/internal/engine/enginetest"
	"github.com/takovm/tako/internal/takotest"
)

// The whole suite once more, as an ordinary user.
func TestEngineAsOrdinaryUser(t *testing.T) {
	takotest.RequireRoot(t)
	const uid = 54321
	// Directories of the test and of the checkout may be closed to others.
	dir, err := os.MkdirTemp("", "tako-user-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"suite": self, "tako": takotest.Binary(t)} {
		data, err := os.ReadFile(source)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []error{os.Chmod(dir, 0o755), os.Chown(dir, uid, uid)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "suite"), "-test.run", "^(TestEngine|TestHostPosture)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + dir, "HOME=" + dir, "PATH=" + os.Getenv("PATH"), takotest.BinaryVariable + "=" + filepath.Join(dir, "tako")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestEngine/Posture") || !strings.Contains(string(out), "--- PASS: TestHostPosture") {
		t.Errorf("as uid %d: %v\n%s", uid, err, out)
	}
}

// A sandbox loads its seccomp program compiled. With another gVisor or other
// options it would quietly compile again; then run make generate.
func TestSeccompIsPrecompiled(t *testing.T) {
	env, init := takotest.Images(t)
	debug := t.TempDir()
	e, err := New(Options{
		Dir: filepath.Join(t.TempDir(), "engine"), Group: takotest.Group(t), Executable: takotest.Binary(t),
		Cgroups: takotest.Cgroups(t), DebugDir: debug,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	sb, err := e.Launch(t.Context(), enginetest.Spec("debug", enginetest.Config{Image: env.Image, Init: init, Permissive: os.Geteuid() != 0}))
	if err != nil {
		t.Fatal(err)
	}
	if err := sb.Destroy(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(debug, "*"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no debug log: %v, %v", logs, err)
	}
	all := ""
	for _, name := range logs {
		all += readFile(t, name)
	}
	const loaded = "Loaded precompiled seccomp instructions"
	if !strings.Contains(all, loaded) {
		t.Errorf("the debug log does not say %q: it was compiled", loaded)
	}
}
