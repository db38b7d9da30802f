package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

// Exit codes of install.py and install.js.
const (
	exitFailed      = 96 // the installer has said why
	exitNoInstaller = 97
)

// maxTail is how much of what the installer said last an error may quote.
const maxTail = 4096

// maxEntries is how many files and directories an installation may leave.
const maxEntries = 500_000

// tool is an installer in its environment.
type tool struct {
	env      environment.Environment
	language string
	code     string   // a program that runs the installer and writes a tar
	args     []string // of it; without any, a snapshot would be made
	file     string   // its name below /input
	list     string   // what is in it: what is asked for
	missing  error    // said where the environment has no installer
}

// run runs an installer in a sandbox and returns what it left, as the tool left
// it. The gateway has ended then.
func (b *Builder) run(ctx context.Context, t tool, log io.Writer) (_ *oci.Unpacked, g *gateway, err error) {
	g, err = newGateway(b.o.Index)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	outer := ctx
	ctx, cancel := context.WithCancelCause(outer)
	defer cancel(nil)
	said := &tail{to: log}
	r, w := io.Pipe()
	type outcome struct {
		tree *oci.Unpacked
		err  error
	}
	unpacked := make(chan outcome, 1)
	go func() {
		tree, err := oci.Unpack(ctx, r, b.o.Dir, oci.Limits{Unpacked: b.o.Limits.Disk, Entries: maxEntries}, func(note string) { fmt.Fprintln(said, "tako:", note) })
		if err != nil {
			cancel(err) // the rest is of no use
		}
		_ = r.CloseWithError(err) // which never fails
		unpacked <- outcome{tree, err}
	}()
	res, runErr := b.o.Runner.Run(ctx, b.attempt(t, g), runner.Sinks{Stdout: w, Stderr: said, Live: math.MaxInt64})
	_ = w.Close()
	out := <-unpacked
	switch {
	case outer.Err() != nil:
		err = context.Cause(outer)
	case job.KindOf(out.err) == job.KindInvalid && res != nil && res.Status != job.Failed:
		err = job.Errorf(job.KindDependency, "what was installed cannot be kept: %w", out.err)
	case out.err != nil && job.KindOf(out.err) != job.KindInvalid:
		err = out.err
	default:
		err = t.conclude(res, runErr, g.index, said)
	}
	if err == nil {
		err = out.err
	}
	if err != nil && out.tree != nil {
		err = errors.Join(err, out.tree.Close())
		out.tree = nil
	}
	return out.tree, g, err
}

// attempt is the installation.
func (b *Builder) attempt(t tool, g *gateway) runner.Attempt {
	return runner.Attempt{
		Environment: t.env, Language: t.language, Code: []byte(t.code), Args: t.args, Limits: b.o.Limits, Network: g.policy,
		Files: []runner.File{{Path: t.file, Size: int64(len(t.list)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(t.list)), nil
		}}},
	}
}

// conclude is why there is nothing to keep; nil for an installation that
// succeeded.
func (t tool) conclude(res *runner.Result, err error, index *pkgindex.Gateway, said *tail) error {
	switch {
	case res == nil || err != nil:
		return err
	case res.Status == job.Succeeded:
		return nil
	}
	code := -1
	if res.ExitCode != nil {
		code = *res.ExitCode
	}
	switch {
	case res.Status == job.Failed && code == exitNoInstaller:
		return t.missing
	case res.Status == job.Failed && index.Fault() != nil:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %w", index.Fault())
	case res.Status == job.Failed && code == exitFailed:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", said.reason())
	case res.Status == job.Timeout:
		return job.Errorf(job.KindDependency, "installing the packages took too long")
	case res.Status == job.OOM:
		return job.Errorf(job.KindDependency, "installing the packages took too much memory").WithHint("raise build_memory")
	case res.Error != nil:
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", res.Error.Message)
	}
	return job.Errorf(job.KindDependency, "the packages cannot be installed: %s", res.Status)
}
