package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// python runs Debian's Python, which has httpx, beside the package's folder.
func python(t *testing.T, b *bench, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", args...)
	cmd.Dir = filepath.Join(takotest.Root(t), "sdk", "python")
	cmd.Env = append([]string{
		"PATH=" + filepath.Dir(b.binary) + ":/usr/bin:/bin", "HOME=" + b.work, "XDG_CACHE_HOME=" + b.work,
		"PYTHONPATH=" + cmd.Dir, "PYTHONDONTWRITEBYTECODE=1", "LANG=C.UTF-8",
	}, env...)
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("python3 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The Python package: its own tests, against a server and with the command.
func TestPythonPackage(t *testing.T) {
	if err := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", "import httpx").Run(); err != nil {
		t.Skip("needs httpx: scripts/setup.sh httpx")
	}
	b := newBench(t)
	b.pack(t)
	s := serve(t, b)
	out := python(t, b, []string{"TAKO_TEST_URL=" + s.url, "TAKO_BINARY=" + b.binary}, "-m", "unittest")
	if strings.Contains(out, "skipped") {
		t.Errorf("tests were skipped:\n%s", out)
	}
	s.stop()
	for _, root := range []string{b.root, filepath.Join(b.work, "tako-vm", "0")} {
		if left := leftovers(root); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
