// Package gvisor is the isolation engine that is linked in: a sandbox is one
// process of this binary, executed again as gVisor's Sentry. It is the only
// package that imports gvisor.dev/gvisor/runsc.
//
// How a sandbox is built is told in spec.go (what it is made of), child.go
// (what the new process does before gVisor takes over) and launch.go.
package gvisor

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"gvisor.dev/gvisor/runsc/specutils"

	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
)

// Options configure an Engine.
type Options struct {
	// Dir holds the state of live sandboxes, in files that are gone with them.
	// It must be private to this process. Created with mode 0700.
	Dir string
	// Group is what the names of the sandboxes' cgroups begin with, before a
	// dot. Unique among processes of this machine.
	Group string
	// Executable is the binary that becomes the sandbox; default
	// /proc/self/exe, this one. Its main must call IsChild and ChildMain.
	Executable string
	// Cgroups is where sandboxes are bounded; nil where that cannot be done.
	Cgroups *cgroup.Tree
	// DebugDir, if not empty, is where sandboxes write gVisor's debug log.
	DebugDir string
	// Log takes the engine's own messages; default none.
	Log *slog.Logger
}

// Engine launches gVisor sandboxes from this process.
type Engine struct {
	opts  Options
	state *os.File // the directory of gVisor's own state
	stdio *closedStdio
}

// New returns an Engine. Only one may be in use in a process: gVisor keeps its
// configuration in package variables. Close releases what New took.
func New(opts Options) (*Engine, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Join(opts.Dir, "state"), 0o700); err != nil {
		return nil, fmt.Errorf("making the engine's directory: %w", err)
	}
	state, err := os.Open(filepath.Join(opts.Dir, "state"))
	if err != nil {
		return nil, fmt.Errorf("opening the engine's directory: %w", err)
	}
	stdio, err := newClosedStdio()
	if err != nil {
		state.Close()
		return nil, err
	}
	if opts.Executable != "" {
		specutils.ExePath = opts.Executable
	}
	routeLog(func(line string) { opts.Log.Debug("gvisor", "line", line) })
	return &Engine{opts: opts, state: state, stdio: stdio}, nil
}

// stateDir names the state directory by its descriptor: gVisor makes a socket
// in it, and a socket's path may have 107 bytes, however deep the data
// directory is.
func (e *Engine) stateDir() string {
	return fmt.Sprintf("/proc/self/fd/%d", e.state.Fd())
}

// Close releases the engine's descriptors. Sandboxes must have been destroyed.
func (e *Engine) Close() error {
	e.stdio.close()
	return e.state.Close()
}

// Info names gVisor by the version in go.mod.
func (e *Engine) Info() engine.Info { return Info() }

// Info is Engine.Info without an engine.
func Info() engine.Info {
	return engine.Info{Name: "gvisor", Version: Version(), Released: released(Version()), Platform: platformName}
}

// Version is the linked gVisor's module version, "unknown" in a binary that
// was built without module information.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == "gvisor.dev/gvisor" {
			return m.Version
		}
	}
	return "unknown"
}

// released reads the commit time out of a pseudo-version
// (vX.0.0-yyyymmddhhmmss-revision, see go.dev/ref/mod).
func released(version string) time.Time {
	parts := strings.Split(version, "-")
	if len(parts) != 3 {
		return time.Time{}
	}
	t, err := time.Parse("20060102150405", parts[1])
	if err != nil {
		return time.Time{}
	}
	return t
}

// Launch starts a sandbox.
func (e *Engine) Launch(ctx context.Context, spec engine.Spec) (engine.Sandbox, error) {
	return e.start(ctx, spec, "")
}

// Restore starts a sandbox from a snapshot.
func (e *Engine) Restore(ctx context.Context, spec engine.Spec, snapshot engine.Snapshot) (engine.Sandbox, error) {
	return e.start(ctx, spec, snapshot.Dir)
}
