package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const gvisor = "gvisor.dev/gvisor"

// moduleRoot is the directory of the go.mod around the working directory.
func moduleRoot(ctx context.Context) (string, error) {
	mod, err := goOutput(ctx, ".", "env", "GOMOD")
	if err != nil {
		return "", err
	}
	if mod == "" || mod == os.DevNull {
		return "", fmt.Errorf("run it inside tako's module, or name the binaries with -tako and -runsc")
	}
	return filepath.Dir(mod), nil
}

// buildRunsc builds runsc from the very gVisor that tako links, once for each
// version, and returns the binary and the version.
func buildRunsc(ctx context.Context) (path, version string, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return "", "", err
	}
	if version, err = goOutput(ctx, root, "list", "-m", "-f", "{{.Version}}", gvisor); err != nil {
		return "", "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	path = filepath.Join(cache, "tako-bench", "runsc-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, version, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", "", err
	}
	unfinished := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	defer os.Remove(unfinished)
	if _, err := goOutput(ctx, root, "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", unfinished, gvisor+"/runsc"); err != nil {
		return "", "", err
	}
	return path, version, os.Rename(unfinished, path)
}

func goOutput(ctx context.Context, dir string, args ...string) (string, error) {
	const longest = 15 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// describeMachine is one line about what is measured on.
func describeMachine() string {
	var u unix.Utsname
	kernel := "unknown"
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Release[:])
	}
	model := "processor unknown"
	info, _ := os.ReadFile("/proc/cpuinfo")
	processors := 0
	for line := range strings.Lines(string(info)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name":
			model = strings.TrimSpace(value)
		case "processor":
			processors++
		}
	}
	return fmt.Sprintf("%d x %s, Linux %s, uid %d", processors, model, kernel, os.Geteuid())
}
