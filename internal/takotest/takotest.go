// Package takotest gives tests what a sandbox needs: the binary that becomes
// one, and the images it mounts.
package takotest

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/guest/initbin"
)

// BinaryVariable names a tako binary that was built without cgo: a test's own
// binary, built for the race detector, cannot be a sandbox. make test sets it.
const BinaryVariable = "TAKO_TEST_BINARY"

// Binary returns the path of a tako binary: the one that BinaryVariable names,
// else one that is built now.
func Binary(tb testing.TB) string {
	tb.Helper()
	if path := os.Getenv(BinaryVariable); path != "" {
		return path
	}
	dir := tb.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil { // a sandbox's process is nobody's
			tb.Fatal(err)
		}
	}
	path := filepath.Join(dir, "tako")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/tako")
	cmd.Dir = Root(tb)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("building tako: %v\n%s", err, out)
	}
	return path
}

// Root is the directory of the module.
func Root(tb testing.TB) string {
	tb.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		tb.Fatal("no caller information")
	}
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}

// Images returns this machine's environment and the image of the guest init,
// made once for all tests of this machine.
func Images(tb testing.TB) (environment.Environment, string) {
	tb.Helper()
	cache := Cache()
	host := &environment.Host{Cache: cache}
	env, err := host.Ensure(tb.Context(), nil)
	if err != nil {
		tb.Fatalf("the environment: %v", err)
	}
	init, err := environment.PackInit(tb.Context(), cache, initbin.Binary(), initbin.Digest())
	if err != nil {
		tb.Fatalf("the init image: %v", err)
	}
	return env, init
}

// Cache is where the environments of all tests of this machine are.
func Cache() string {
	return filepath.Join(os.TempDir(), "tako-test-"+strings.TrimSpace(whoami()), "environments")
}

func whoami() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return "user"
}

// RequireRoot skips a test that needs to be root.
func RequireRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Skip("needs root")
	}
}
