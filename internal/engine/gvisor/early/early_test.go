package early_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/engine/gvisor/early"
	"github.com/takovm/tako/internal/takotest"
)

func TestWhatAProcessIs(t *testing.T) {
	for _, tt := range []struct {
		args          string
		boots, umount bool
	}{
		{"tako run script.py", false, false},
		{"tako umount --sync-fd=3 /proc", false, false},
		{"runsc-sandbox --root=/r boot --bundle=/b id", true, false},
		{"runsc-sandbox --root=/r boot --setup-root=false id", false, false},
		{"runsc-sandbox --root=/r gofer id", false, false},
		{"/proc/self/exe umount --sync-fd=3 /proc", false, true},
		{"/proc/self/exe", false, false},
		{"", false, false},
	} {
		args := strings.Fields(tt.args)
		if got := early.Boots(args); got != tt.boots {
			t.Errorf("%q boots: %v", tt.args, got)
		}
		if got := early.Umounts(args); got != tt.umount {
			t.Errorf("%q unmounts: %v", tt.args, got)
		}
	}
}

// The order in which Go initialises packages is what the package lives from.
func TestBeforeGVisor(t *testing.T) {
	cmd := exec.Command(takotest.Binary(t), "version")
	cmd.Env = []string{"GODEBUG=inittrace=1", "HOME=" + t.TempDir()}
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	ours := strings.Index(trace.String(), "init github.com/takovm/tako/internal/engine/gvisor/early ")
	theirs := strings.Index(trace.String(), "init gvisor.dev/gvisor/pkg/sentry/")
	if ours < 0 || theirs < 0 || ours > theirs {
		t.Errorf("initialised at %d of the trace, gVisor's kernel at %d:\n%s", ours, theirs, &trace)
	}
}

// A process that is told to unmount and then left alone unmounts nothing.
func TestUmountNeedsTheByte(t *testing.T) {
	cmd := exec.Command(takotest.Binary(t))
	cmd.Args = []string{early.UmountArg0, early.UmountCommand, "--sync-fd=3", "/proc"}
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("ended with %v", err)
	}
}
