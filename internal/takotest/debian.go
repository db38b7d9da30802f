package takotest

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// DebianRoot is the path of a tar with a root file system of Debian: "minimal", or
// "data", with numpy, pandas and matplotlib. It is made if it is not there, which
// make test has seen to; a machine that cannot make it skips the test.
func DebianRoot(tb testing.TB, name string) string {
	tb.Helper()
	const cannot = 3 // scripts/debian.sh
	cmd := exec.CommandContext(tb.Context(), filepath.Join(Root(tb), "scripts", "debian.sh"), name)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == cannot {
		tb.Skip(strings.TrimSpace(said.String()))
	}
	if err != nil {
		tb.Fatalf("making a root file system: %v\n%s", err, said.String())
	}
	return strings.TrimSpace(string(out))
}
