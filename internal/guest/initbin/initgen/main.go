// Command initgen builds the guest init, with a Go runtime that has one
// processor and one thread.
//
// An ordinary runtime has a monitor, which looks every 20 microseconds at what
// the others do, for ten milliseconds after each system call that blocks. Init
// does nothing but block, so the monitor would run as long as most jobs do,
// beside them; and each thread more is one more to save, restore and schedule in
// every sandbox. Init's one goroutine needs none of them: nothing in it has to be
// preempted, and no processor taken from a thread that is in the kernel.
//
//	go run ./internal/guest/initbin/initgen -o internal/guest/initbin/init_linux_amd64
//
// Four lines of the runtime are replaced or left out, by go build's -overlay;
// where one of them is not as expected the build fails.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// replaced are pieces of runtime/proc.go. The main goroutine is not locked to its
// thread while the runtime starts: waiting there for another goroutine, it would
// have a second thread made.
var replaced = [][2]string{
	{"const haveSysmon = GOARCH != \"wasm\"\n", "const haveSysmon = false\n"},
	{"\t\tprocs = defaultGOMAXPROCS(numCPUStartup)\n", "\t\tprocs = 1\n"},
	{"\tlockOSThread()\n\n\tif mp != &m0 {\n", "\tif mp != &m0 {\n"},
	{"\tneedUnlock = false\n\tunlockOSThread()\n", "\tneedUnlock = false\n"},
}

func main() {
	out := flag.String("o", "", "where to write the program")
	flag.Parse()
	if err := build(*out); err != nil {
		fmt.Fprintln(os.Stderr, "initgen:", err)
		os.Exit(1)
	}
}

func build(out string) (err error) {
	if out == "" {
		return errors.New("-o names no file")
	}
	dir, err := os.MkdirTemp("", "initgen-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	golang, err := toolchain()
	if err != nil {
		return err
	}
	overlay, err := patch(golang, dir)
	if err != nil {
		return err
	}
	_, err = golang.run("build", "-overlay="+overlay, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out,
		"github.com/takovm/tako/internal/guest/init")
	return err
}

// patch writes the runtime's file as it is to be, and the overlay that names it.
func patch(golang version, dir string) (overlay string, err error) {
	root, err := golang.run("env", "GOROOT")
	if err != nil {
		return "", err
	}
	file := filepath.Join(root, "src", "runtime", "proc.go")
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	text := string(source)
	for _, r := range replaced {
		if n := strings.Count(text, r[0]); n != 1 {
			return "", fmt.Errorf("%s has %q %d times, not once: the runtime has changed", file, r[0], n)
		}
		text = strings.Replace(text, r[0], r[1], 1)
	}
	changed := filepath.Join(dir, "proc.go")
	if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
		return "", err
	}
	data, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, data, 0o600)
}

// version is a Go toolchain by name.
type version string

// toolchain is the one that go.mod names. It builds init, whichever is installed:
// init's bytes are committed.
func toolchain() (version, error) {
	text, err := version("local").run("mod", "edit", "-json")
	if err != nil {
		return "", err
	}
	var mod struct{ Toolchain version }
	if err := json.Unmarshal([]byte(text), &mod); err != nil {
		return "", fmt.Errorf("reading go.mod: %w", err)
	}
	if mod.Toolchain == "" {
		return "", errors.New("go.mod names no toolchain")
	}
	return mod.Toolchain, nil
}

// run runs the go command for where init runs.
func (v version) run(args ...string) (string, error) {
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOAMD64=v1", "GOEXPERIMENT=", "GOFLAGS=",
		"GOTOOLCHAIN="+string(v))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}
