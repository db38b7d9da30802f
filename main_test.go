package tako_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/takovm/tako/internal/takotest"
)

// TestMain gives all tests a data directory, whose environments are this
// machine's for tests, and a tako command on PATH: a binary that was built for
// the race detector cannot be a sandbox.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "tako-root-")
	if err == nil {
		err = prepare(dir)
	}
	code := 1
	if err == nil {
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare(dir string) error {
	bin, data := filepath.Join(dir, "bin"), filepath.Join(dir, "data")
	for _, d := range []string{bin, filepath.Join(data, "cache"), takotest.Cache()} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return err
		}
	}
	if err := os.Symlink(takotest.Cache(), filepath.Join(data, "cache", "environments")); err != nil {
		return err
	}
	settings := map[string]string{"PATH": bin + ":" + os.Getenv("PATH"), "TAKO_VM_DATA_DIR": data}
	if os.Geteuid() != 0 {
		settings["TAKO_VM_SECURITY_MODE"] = "permissive"
	}
	for name, value := range settings {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if binary := os.Getenv(takotest.BinaryVariable); binary != "" {
		return os.Symlink(binary, filepath.Join(bin, "tako"))
	}
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "tako"), "./cmd/tako")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building tako: %w\n%s", err, out)
	}
	return nil
}
