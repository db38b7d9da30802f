package script

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// make install puts the command, its man pages and its completion in their
// places.
func TestInstall(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	to := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "make", "--old-file=build", "install", "BIN="+takotest.Binary(t), "DESTDIR="+to, "PREFIX=/usr")
	cmd.Dir = takotest.Root(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"bin/tako", "bin/tako-vm", "share/man/man1/tako-run.1", "share/bash-completion/completions/tako"} {
		if _, err := os.Stat(filepath.Join(to, "usr", name)); err != nil {
			t.Error(err)
		}
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(to, "usr/bin/tako-vm"), "version").Output()
	if err != nil || !strings.Contains(string(out), "gvisor") {
		t.Errorf("%v, %s", err, out)
	}
}
