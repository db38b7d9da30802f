// Package assembly builds the parts of tako from a configuration. It is the
// only importer of drivers.
package assembly

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/takovm/tako/internal/build"
	"github.com/takovm/tako/internal/config"
	"github.com/takovm/tako/internal/engine"
	"github.com/takovm/tako/internal/engine/cgroup"
	"github.com/takovm/tako/internal/engine/gvisor"
	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/lifecycle"
	"github.com/takovm/tako/internal/runner"
	"github.com/takovm/tako/internal/sandbox"
)

// Local is what one process needs to run jobs on this machine.
type Local struct {
	Runner *runner.Runner
	Engine engine.Engine
	// Leftovers says what of a process that died could not be removed; nil
	// when nothing is left. It keeps nobody from running jobs.
	Leftovers error

	config  *config.Config
	builder *build.Builder
	images  images
	release func() error
}

// Options are what a caller may add to the configuration.
type Options struct {
	// Progress is told about the building of the environment; nil for nobody.
	Progress func(environment.Progress)
	Log      *slog.Logger
	// Executable is the binary that becomes a sandbox; default this one. For
	// tests, whose own binary cannot be one.
	Executable string
	// ImagesOnly says that all attempts bring the environment of an image: this
	// machine's Python is not packed, and need not be there.
	ImagesOnly bool
	// Pool sizes the pool of sandboxes that wait; without Max there is none.
	Pool sandbox.PoolOptions
}

// NewLocal builds the parts, in an order that can be undone: the home, what
// dead processes left, the engine, the environment. The caller closes it.
func NewLocal(ctx context.Context, cfg *config.Config, opts Options) (_ *Local, err error) {
	var undo lifecycle.Undo
	defer func() {
		if err != nil {
			err = errors.Join(err, undo.Run())
		}
	}()
	home, err := sandbox.NewHome(ctx, cfg.DataDir)
	if err != nil {
		return nil, err
	}
	undo.Add(home.Close)
	groups := Cgroups()
	if groups != nil {
		undo.Add(groups.Close)
	}
	l := &Local{config: cfg}
	if _, l.Leftovers = sandbox.Reclaim(ctx, cfg.DataDir, groups); ctx.Err() != nil {
		return nil, ctx.Err()
	}
	gv, err := gvisor.New(gvisor.Options{
		Dir:        filepath.Join(home.Dir, "engine"),
		Group:      home.ID,
		Executable: opts.Executable,
		Cgroups:    groups,
		Log:        opts.Log,
	})
	if err != nil {
		return nil, err
	}
	undo.Add(gv.Close)
	l.Engine = gv
	supplier := &sandbox.Supplier{
		Engine:     gv,
		Permissive: cfg.SecurityMode == config.Permissive,
		Snapshots:  &sandbox.Snapshots{Dir: filepath.Join(cfg.DataDir, "cache", "snapshots")},
		Log:        opts.Log,
	}
	if supplier.Init, err = l.images.open(ctx, cfg, opts); err != nil {
		return nil, err
	}
	if opts.Pool.Max > 0 {
		supplier.Pool = sandbox.NewPool(supplier, opts.Pool)
		undo.Add(supplier.Pool.Close)
	}
	l.Runner = &runner.Runner{Supplier: supplier}
	if l.builder, err = l.newBuilder(cfg); err != nil {
		return nil, err
	}
	undo.Add(l.builder.Close) // before what its installations run in
	l.release = undo.Release()
	return l, nil
}

// Close releases everything. Sandboxes must have been destroyed.
func (l *Local) Close() error {
	return l.release()
}

// Cgroups finds the cgroup hierarchies of this host; nil when none may be
// written.
func Cgroups() *cgroup.Tree {
	self, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	return cgroup.Detect("/sys/fs/cgroup", string(self))
}
