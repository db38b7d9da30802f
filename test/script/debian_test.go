package script

import (
	"bytes"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// shell is a tako with a data directory of its own.
type shell struct {
	t    *testing.T
	b    *bench
	data string
}

func newShell(t *testing.T) *shell {
	b := newBench(t)
	return &shell{t: t, b: b, data: filepath.Join(b.work, "data")}
}

// tako runs a command line, expects its exit code and answers all that it said.
func (s *shell) tako(code int, args ...string) string {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.b.binary, args...)
	cmd.Dir = s.b.work
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.b.work, "TAKO_VM_DATA_DIR=" + s.data}
	if os.Geteuid() != 0 {
		cmd.Env = append(cmd.Env, "TAKO_VM_SECURITY_MODE=permissive")
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		s.t.Fatalf("tako %s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	return string(out)
}

// says is tako that has to say some things.
func (s *shell) says(code int, args []string, wants ...string) {
	s.t.Helper()
	out := s.tako(code, args...)
	for _, want := range wants {
		if !strings.Contains(out, want) {
			s.t.Errorf("tako %s: does not say %q:\n%s", strings.Join(args, " "), want, out)
		}
	}
}

// A Debian without Python runs commands and Bash, and says so of Python.
func TestMinimalDebian(t *testing.T) {
	root := takotest.DebianRoot(t, "minimal")
	s := newShell(t)
	ref, byDigest := takotest.NewRegistry(t).Push(t, "debian", "minimal", root)
	s.says(0, []string{"env", "pull", ref}, ref+": bash")
	s.says(0, []string{"env", "pull", "-q", byDigest}, byDigest+": bash")
	s.says(0, []string{"run", "--image", ref, "--", "cat", "/etc/debian_version"}, "12.")
	s.says(0, []string{"run", "--image", byDigest, "--language", "bash", "-c", "dpkg --print-architecture; id -un; echo $BASH_VERSION"}, "amd64\n", "sandbox\n", "5.")
	s.says(3, []string{"run", "--image", ref, "--", "perl", "-e", "print 6*7, qq(\\n); exit 3"}, "42\n")
	s.says(2, []string{"run", "--image", ref, "-c", "print(1)"}, `unknown language "python"`, "has bash")
	s.says(1, []string{"run", "--image", ref, "--", "touch", "/usr/x"}, "Read-only file system")

	// A recipe upon it adds to what is there: /bin is a link.
	must(t, os.WriteFile(filepath.Join(s.b.work, "hi"), []byte("#!/bin/sh\necho hi from $0\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(s.b.work, "r.yaml"), []byte("name: acme/hi:1\nbase: "+ref+"\nfiles:\n  - {source: hi, path: /bin/hi, mode: '0755'}\nuser: nobody\n"), 0o600))
	s.says(0, []string{"env", "build", "r.yaml"}, "docker.io/acme/hi:1: bash")
	s.says(0, []string{"run", "--image", "acme/hi:1", "--", "sh", "-c", "hi; ls -ld /bin; id -u"}, "hi from /usr/bin/hi", "/bin -> usr/bin", "65534")
	must(t, os.WriteFile(filepath.Join(s.b.work, "r.yaml"), []byte("name: acme/hi:1\nbase: "+ref+"\nrequirements: [numpy]\n"), 0o600))
	s.says(1, []string{"env", "build", "r.yaml"}, "has no Python to install packages for")
	s.says(0, []string{"run", "--image", "acme/hi:1", "--", "hi"}, "hi from")
	if left := leftovers(s.data); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

const plot = `
import matplotlib, numpy as np, pandas as pd
matplotlib.use("Agg")
import matplotlib.pyplot as plt
x = np.linspace(0, 2 * np.pi, 200)
table = pd.DataFrame({"x": x, "sin": np.sin(x)}).set_index("x")
figure = table.plot(title="sine").get_figure()
figure.set_size_inches(4, 3)
figure.savefig("/output/sine.png", dpi=100)
table.describe().to_csv("/output/table.csv")
solved = np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([3.0, 5.0]))
print(np.round(solved, 3).tolist(), len(table), round(float(table["sin"].max()), 3))
`

// numpy, pandas and matplotlib of a Debian work in an image of it.
func TestDataDebian(t *testing.T) {
	root := takotest.DebianRoot(t, "data")
	s := newShell(t)
	ref, _ := takotest.NewRegistry(t).Push(t, "team/data", "12", root)
	s.says(0, []string{"env", "pull", ref}, "python 3.11", ref)
	must(t, os.WriteFile(filepath.Join(s.b.work, "plot.py"), []byte(plot), 0o600))
	s.says(0, []string{"run", "--memory", "1g", "--timeout", "120", "--image", ref, "--output-dir", "out", "plot.py"}, "[0.8, 1.4] 200 1.0\n")
	content, err := os.ReadFile(filepath.Join(s.b.work, "out", "sine.png"))
	must(t, err)
	picture, err := png.Decode(bytes.NewReader(content))
	if err != nil || picture.Bounds().Dx() != 400 || picture.Bounds().Dy() != 300 {
		t.Errorf("the plot: %v, %v", picture, err)
	}
	table, err := os.ReadFile(filepath.Join(s.b.work, "out", "table.csv"))
	if err != nil || !strings.HasPrefix(string(table), ",sin\ncount,200.0\n") {
		t.Errorf("the table: %s, %v", table, err)
	}
	if left := leftovers(s.data); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
