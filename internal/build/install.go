package build

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/takovm/tako/internal/environment"
	"github.com/takovm/tako/internal/job"
	"github.com/takovm/tako/internal/oci"
	"github.com/takovm/tako/internal/pkgindex"
	"github.com/takovm/tako/internal/runner"
)

//go:embed install.py
var installPython string

// Exit codes of install.py.
const (
	exitFailed      = 96 // the installer has said why
	exitNoInstaller = 97
)

// maxTail is how much of what the installer said last an error may quote.
const maxTail = 4096

// tree limits what an installation may leave.
func treeLimits() oci.Limits {
	return oci.Limits{Unpacked: 16 << 30, Entries: 500_000}
}

// install runs an installer in a sandbox of base and returns what it left.
func (b *Builder) install(ctx context.Context, base environment.Environment, requirements []string, log io.Writer) (_ *oci.Unpacked, err error) {
	g, err := newGateway(b.o.Index)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.end()) }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	said := &tail{to: log}
	r, w := io.Pipe()
	type outcome struct {
		tree *oci.Unpacked
		err  error
	}
	unpacked := make(chan outcome, 1)
	go func() {
		tree, err := oci.Unpack(ctx, r, b.o.Dir, treeLimits(), func(note string) { fmt.Fprintln(said, "tako:", note) })
		if err != nil {
			cancel(err) // the rest is of no use
		}
		_ = r.CloseWithError(err) // which never fails
		unpacked <- outcome{tree, err}
	}()
	res, runErr := b.o.Runner.Run(ctx, b.attempt(base, requirements, g), runner.Sinks{Stdout: w, Stderr: said, Live: math.MaxInt64})
	_ = w.Close()
	out := <-unpacked
	if err := conclude(res, runErr, g.index, said); err != nil {
		if out.tree != nil {
			out.tree.Close()
		}
		return nil, err
	}
	if out.err != nil {
		return nil, job.Errorf(job.KindDependency, "what was installed cannot be kept: %w", out.err)
	}
	return out.tree, nil
}

// attempt is the installation. It has arguments, so that no snapshot is made and
// no sandbox is kept for it.
func (b *Builder) attempt(base environment.Environment, requirements []string, g *gateway) runner.Attempt {
	list := strings.Join(requirements, "\n") + "\n"
	mode := "wheels"
	if b.o.Index.Sources {
		mode = "sources"
	}
	return runner.Attempt{
		Environment: base, Language: "python", Code: []byte(installPython), Args: []string{pkgindex.URL, mode}, Limits: b.o.Limits, Network: g.policy,
		Files: []runner.File{{Path: "requirements.txt", Size: int64(len(list)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(list)), nil
		}}},
	}
}

// conclude is why there is nothing to keep; nil for an installation that
// succeeded.
func conclude(res *runner.Result, err error, index *pkgindex.Gateway, said *tail) error {
	switch {
	case res == nil || err != nil:
		return err
	case res.Status == job.Succeeded:
		return nil
	}
	if fault := index.Fault(); fault != nil {
		return job.Errorf(job.KindDependency, "the packages cannot be installed: %w", fault)
	}
	code := -1
	if res.ExitCode != nil {
		code = *res.ExitCode
	}
	switch {
	case res.Status == job.Failed && code == exitNoInstaller:
		return job.Errorf(job.KindDependency, "this environment has neither uv nor pip to install packages with").
			WithHint("install python3-pip on this machine, or use an image that has pip")
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

// tail passes on what an installer says and remembers the end of it.
type tail struct {
	to   io.Writer
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.last = append(t.last, p...)
	t.last = bytes.Clone(t.last[max(0, len(t.last)-maxTail):])
	if t.to != nil {
		_, _ = t.to.Write(p) // a log that nobody takes is no reason to stop
	}
	return len(p), nil
}

// reason is what the installer gave as one: its lines of errors, or the last.
func (t *tail) reason() string {
	var errs []string
	last := "it did not say why"
	for line := range strings.Lines(strings.ToValidUTF8(string(t.last), "?")) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
			errs = append(errs, text)
		}
		if line != "" {
			last = line
		}
	}
	if len(errs) == 0 {
		errs = []string{last}
	}
	text := strings.Join(errs, "; ")
	return text[:min(len(text), 1000)]
}

// installed lists what a tree has, as "name==version", by name.
func installed(tree []environment.TreeEntry) (list []string) {
	for _, e := range tree {
		name, ok := strings.CutSuffix(path.Base(e.Path), ".dist-info")
		if !ok || path.Dir(e.Path) != "/" {
			continue
		}
		if name, version, ok := strings.Cut(name, "-"); ok {
			list = append(list, strings.ReplaceAll(name, "_", "-")+"=="+version)
		}
	}
	slices.Sort(list)
	return list
}
